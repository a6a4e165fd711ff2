"use strict";
// The page's tables: sorted, filtered, and opened line by line. Every text goes in as text, never as HTML.
(() => {
  const FIRST = 60; // lines shown before a button asks for all
  const MOST_HINTED = 12; // seeds in the hint of a line
  const data = JSON.parse(document.getElementById("data").textContent);
  const { columns, values } = data.rows;
  const hint = document.getElementById("hint");

  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.map((one) => (one instanceof Node ? one : String(one))));
    return node;
  };
  const said = (value) => (value === null || value === undefined ? "" : String(value));
  const pooled = (name, id) => values[name][columns[name][id]];

  // Sorting: numbers by size, "inf" and ">= 100" above all, words by letters, blanks last in both directions.
  const rank = (text) => {
    if (text === "" || text === "-") return null;
    if (text.startsWith(">=")) return Infinity;
    const number = Number(text.replace(/^\+?inf$/, "Infinity").replace("-inf", "-Infinity"));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (one, other) => {
    if (typeof one === "number" && typeof other === "number") return one < other ? -1 : one > other ? 1 : 0;
    if (typeof one === typeof other) return one.localeCompare(other, "en");
    return typeof one === "number" ? -1 : 1;
  };
  const ordered = (items, key, falling) => {
    const keyed = items.map((item, index) => ({ item, index, key: rank(key(item)) }));
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.index - b.index;
      return (falling ? -1 : 1) * compare(a.key, b.key) || a.index - b.index;
    });
    return keyed.map((one) => one.item);
  };
  // A click on a heading sorts upwards, the next one downwards. What is sorted is told by aria-sort.
  const heading = (title, isNumber, sort) => {
    const button = make("button", { type: "button" }, title);
    const cell = make("th", { scope: "col", class: isNumber ? "number" : "" }, button);
    button.addEventListener("click", () => {
      const falling = cell.getAttribute("aria-sort") === "ascending";
      for (const other of cell.parentNode.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sort(falling);
    });
    return cell;
  };

  // Details of a place: its seeds, and what they were made with.
  const factList = (facts) =>
    make("dl", { class: "facts" }, ...Object.entries(facts).map(([name, text]) =>
      make("div", {}, make("dt", {}, name), make("dd", {}, text))));
  const grouped = (name, runs) => {
    const groups = new Map();
    for (const run of runs) {
      const number = columns[name][run.id];
      groups.set(number, [...(groups.get(number) || []), run.seed]);
    }
    return [...groups].map(([number, seeds]) => ({ value: values[name][number], seeds }));
  };
  const groupTitle = (title, group, groups) =>
    make("h5", {}, groups.length > 1 ? `${title} of seed${group.seeds.length > 1 ? "s" : ""} ${group.seeds.join(", ")}`
      : title);
  const runsOf = (table, index, score) => {
    const method = table.places[index][0];
    return table.rows[index].map((id, i) => ({
      id, seed: table.seeds[method][i], value: table.scores[score].values[index][i],
    }));
  };
  const command = (table, index, seed) => {
    const place = table.places[index];
    const at = table.axes.map((axis, i) => `${axis}=${place[i + 1]}`);
    return `${table.again[place[0]]},${[...at, `seed=${seed}`].join(",")}`;
  };
  const details = (table, index, score) => {
    const runs = runsOf(table, index, score);
    const there = runs.filter((run) => run.id !== null);
    const reasons = there.some((run) => pooled("reason", run.id));
    const head = ["Seed", table.scores[score].label, "Status", ...(reasons ? ["Reason"] : []), "Seconds", "Cell key",
      "Made again by"];
    const lines = runs.map((run) => {
      const cell = (text, name = "") => make("td", { class: name }, said(text));
      if (run.id === null) {
        return make("tr", {}, make("th", { scope: "row" }, run.seed), make("td", { colspan: head.length - 1 }, "no row yet"));
      }
      return make("tr", {}, make("th", { scope: "row" }, run.seed), cell(run.value, "number"),
        cell(pooled("status", run.id)), ...(reasons ? [cell(pooled("reason", run.id), "reason")] : []),
        cell(columns.seconds[run.id], "number"), make("td", {}, make("code", {}, columns.cell[run.id])),
        make("td", {}, make("code", {}, command(table, index, run.seed))));
    });
    const seeds = make("div", { class: "box", tabindex: "0", role: "group", "aria-label": "Seeds" },
      make("table", {}, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...lines)));
    const inner = make("div", { class: "inner" }, seeds);
    if (there.length && table.shared[table.places[index][0]]) {
      inner.append(make("p", {}, "Several labels stand for this method: the command makes the rows of all of them."));
    }
    const settings = grouped("settings", there);
    for (const group of settings) {
      inner.append(groupTitle("Settings", group, settings), make("ul", { class: "settings" },
        ...Object.entries(group.value).map(([name, text]) => make("li", {}, make("code", {}, `${name}=${text}`)))));
    }
    const origins = grouped("origin", there);
    for (const group of origins) {
      inner.append(groupTitle("Made with", group, origins), factList(group.value));
    }
    return inner;
  };

  // The hint of a line, for the pointer and the keyboard; Escape hides it.
  const hide = () => { hint.hidden = true; };
  const show = (text, at, left) => {
    hint.textContent = text;
    hint.hidden = false;
    const box = hint.getBoundingClientRect();
    const below = at.bottom + box.height + 8 < innerHeight;
    hint.style.top = `${below ? at.bottom + 4 : Math.max(4, at.top - box.height - 4)}px`;
    hint.style.left = `${Math.max(4, Math.min(left, innerWidth - box.width - 8))}px`;
  };
  const hintText = (table, index, score) => {
    const runs = runsOf(table, index, score);
    const lines = runs.slice(0, MOST_HINTED).map(({ id, seed, value }) => {
      if (id === null) return `seed ${seed}: no row yet`;
      const status = pooled("status", id);
      const reason = pooled("reason", id);
      return `seed ${seed}: ${status === "ok" ? said(value) || reason || "no value" : status + (reason ? `, ${reason}` : "")}`;
    });
    if (runs.length > MOST_HINTED) lines.push(`and ${runs.length - MOST_HINTED} more seeds`);
    return lines.join("\n");
  };
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  document.addEventListener("scroll", hide, true);

  // One panel's table; what is chosen is kept in `state`, and `fill` shows it.
  const build = (panel) => {
    const number = panel.dataset.table;
    const table = data.tables[number];
    const state = { score: 0, method: -1, all: false, order: table.places.map((_, i) => i), sort: null };
    const open = new Set();
    const body = make("tbody");
    const more = make("button", { type: "button", class: "plain" });
    const statistics = ["Median", "Least", "Largest"];
    const texts = (index) => {
      const place = table.places[index];
      const [median, least, largest, runs] = table.scores[state.score].stats[index];
      return [table.methods[place[0]], ...place.slice(1), median, least, largest, runs].map(said);
    };
    // Why a line has no value: the statuses of its rows.
    const why = (index) => [...new Set(table.rows[index].map((id) => {
      const status = id === null ? "no row yet" : pooled("status", id);
      return status === "ok" ? "no value" : status;
    }))].join(", ");
    const line = (index) => {
      const [method, ...rest] = texts(index);
      const id = `t${number}-${index}`;
      const button = make("button", { type: "button", "aria-expanded": String(open.has(index)) }, method);
      const row = make("tr", { class: open.has(index) ? "place open" : "place" }, make("th", { scope: "row" }, button));
      rest.forEach((text, i) => {
        const isRuns = i === rest.length - 1;
        const isBare = i === table.axes.length && text === "";
        row.append(make("td", { class: isBare ? "number soft" : "number" },
          isRuns ? `${text} of ${table.rows[index].length}` : isBare ? why(index) : text));
      });
      const width = rest.length + 1;
      const opened = () => make("tr", { class: "details", id },
        make("td", { colspan: String(width) }, details(table, index, state.score)));
      const toggle = () => {
        hide();
        if (open.delete(index)) row.nextSibling.remove();
        else {
          open.add(index);
          row.after(opened());
        }
        row.classList.toggle("open", open.has(index));
        button.setAttribute("aria-expanded", String(open.has(index)));
        if (open.has(index)) button.setAttribute("aria-controls", id);
        else button.removeAttribute("aria-controls");
      };
      const point = (left) => {
        if (!open.has(index)) show(hintText(table, index, state.score), row.getBoundingClientRect(), left);
      };
      row.addEventListener("click", toggle);
      row.addEventListener("mouseenter", (event) => point(event.clientX + 16));
      row.addEventListener("mouseleave", hide);
      button.addEventListener("focus", () => {
        button.setAttribute("aria-describedby", "hint");
        if (button.matches(":focus-visible")) point(button.getBoundingClientRect().right);
      });
      button.addEventListener("blur", hide);
      return open.has(index) ? [row, opened()] : [row];
    };
    const fill = () => {
      hide();
      const wanted = state.order.filter((i) => state.method < 0 || table.places[i][0] === state.method);
      const shown = state.all || wanted.length < 1.5 * FIRST ? wanted : wanted.slice(0, FIRST);
      body.replaceChildren(...shown.flatMap(line));
      more.hidden = shown.length === wanted.length;
      more.textContent = `Show all ${wanted.length.toLocaleString("en")} lines`;
    };
    const sort = (column, falling) => {
      state.sort = { column, falling };
      state.order = ordered(table.places.map((_, i) => i), (i) => texts(i)[column], falling);
      fill();
    };
    more.addEventListener("click", () => {
      state.all = true;
      fill();
      body.rows[FIRST].querySelector("button")?.focus();
    });
    const choice = (title, options, choose) => {
      const select = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
      select.addEventListener("change", () => {
        choose(Number(select.value));
        if (state.sort) sort(state.sort.column, state.sort.falling);
        else fill();
      });
      return make("label", {}, title, select);
    };
    const choices = make("div", { class: "choices" });
    const label = make("caption", {}, table.scores[0].label);
    if (table.scores.length > 1) {
      choices.append(choice("Measure", table.scores.map((one, i) => [i, one.label]), (i) => {
        state.score = i;
        label.textContent = table.scores[i].label;
      }));
    }
    if (table.methods.length > 1) {
      choices.append(choice("Method", [[-1, "all"], ...table.methods.map((name, i) => [i, name])], (i) => {
        state.method = i;
      }));
    }
    const heads = ["Method", ...table.axes, ...statistics, "Runs"].map((title, column) =>
      heading(title, column > 0, (falling) => sort(column, falling)));
    const title = panel.querySelector("h4").textContent;
    const box = make("div", { class: "box", tabindex: "0", role: "group", "aria-label": `Table: ${title}` },
      make("table", {}, label, make("thead", {}, make("tr", {}, ...heads)), body));
    panel.append(...(choices.children.length ? [choices] : []), box, more);
    fill();
  };
  for (const panel of document.querySelectorAll("details.panel")) {
    let built = false;
    const once = () => {
      if (panel.open && !built) {
        built = true;
        build(panel);
      }
    };
    panel.addEventListener("toggle", once);
    once();
  }

  // Tables that are in the page as they are.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const row = table.tHead.rows[0];
    const heads = [...row.cells].map((cell, column) => heading(cell.textContent, false, (falling) => {
      body.append(...ordered([...body.rows], (one) => one.cells[column].textContent, falling));
    }));
    row.replaceChildren(...heads);
  }
})();
