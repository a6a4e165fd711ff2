#!/usr/bin/env bash
# Pillow: 16 bits of grey in a PNG are clipped by convert(), and 16 bits of colour are halved when the file is opened.
#
# A good guess: convert("L") and convert("RGB") bring 16-bit grey to 8 bits in one way, by its share of white (v / 257);
# and colours of 16 bits are opened with 16 bits, as grey is, or a warning says that they are not.
#
# Seen with Pillow 13.0.0 and NumPy 2.4.6 (Python 3.11), for the values 0, 200, 300, 32768, 65535:
#   - grey opens as I;16 with its values. convert("L") gives 0, 200, 255, 255, 255: what is above 255 is clipped, so that a
#     photograph becomes white. So does convert("RGB").
#   - the same values as RGB open as 8 bits, 0, 0, 1, 128, 255: the lower half is gone before any call can ask for it.
# Neither warns. Both PNGs are written here by hand, from their specification.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/python" -m pip install --quiet pillow==13.0.0 numpy==2.4.6 2>/dev/null
"$dir/venv/bin/python" -W error - <<'PY'
import io
import struct
import zlib

import numpy as np
import PIL
from PIL import Image

VALUES = [0, 200, 300, 32768, 65535]


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(colour, channels):
    row = b"\0" + b"".join(struct.pack(">H", value) * channels for value in VALUES)
    head = struct.pack(">IIBBBBB", len(VALUES), 1, 16, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


print("Pillow", PIL.__version__, "numpy", np.__version__)
grey = Image.open(io.BytesIO(png(0, 1)))
found = {
    "grey": np.asarray(grey)[0].tolist(),
    "grey, convert L": np.asarray(grey.convert("L"))[0].tolist(),
    "grey, convert RGB": np.asarray(grey.convert("RGB"))[0, :, 0].tolist(),
    "colour": np.asarray(Image.open(io.BytesIO(png(2, 3))))[0, :, 0].tolist(),
}
for name, values in found.items():
    print(f"{name}: {values}")
assert found == {
    "grey": VALUES,
    "grey, convert L": [min(value, 255) for value in VALUES],
    "grey, convert RGB": [min(value, 255) for value in VALUES],
    "colour": [value // 256 for value in VALUES],
}
PY
echo "as described"
