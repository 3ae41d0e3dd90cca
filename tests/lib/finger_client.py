"""Reads an image from the simulated sensor with pyfingerprint, and compares every pixel.

Usage: finger_client.py SIMULATOR
"""

import os
import subprocess
import sys
import tempfile

from PIL import Image
from pyfingerprint.pyfingerprint import PyFingerprint

WIDTH, HEIGHT = 256, 288
LOOKS = 20


def main(simulator):
    with tempfile.TemporaryDirectory() as folder:
        prints = os.path.join(folder, "prints")
        os.mkdir(prints)
        # Sixteen greys that differ from pixel to pixel and from row to row.
        greys = [(3 * x + 5 * y + x * y // 7) % 16 * 17 for y in range(HEIGHT) for x in range(WIDTH)]
        laid = Image.new("L", (WIDTH, HEIGHT))
        laid.putdata(greys)
        laid.save(os.path.join(prints, "1.png"))
        sensor = subprocess.Popen([simulator, "--images", prints], stdout=subprocess.PIPE, text=True)
        try:
            port = sensor.stdout.readline().strip()
            client = PyFingerprint(port, 57600, 0xFFFFFFFF, 0x00000000)
            if not client.verifyPassword():
                sys.exit("the simulator refused the factory's password")
            if not any(client.readImage() for _ in range(LOOKS)):
                sys.exit("no finger came")
            copy = os.path.join(folder, "copy.bmp")
            client.downloadImage(copy)
            with Image.open(copy) as fetched:
                if fetched.tobytes() != bytes(greys):
                    sys.exit("the image came, and it is another one")
            print(f"note: pyfingerprint read {WIDTH} x {HEIGHT} pixels, storage capacity", client.getStorageCapacity())
        finally:
            sensor.terminate()
            sensor.wait()


main(sys.argv[1])
