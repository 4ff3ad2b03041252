"""Image files of every kind, good and bad, and what becomes of them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

RED, WHITE = (200, 0, 0), (255, 255, 255)
GREY_OF_RED = 60  # 0.299 · 200, ITU-R 601-2.


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(mode, colour, width=30, height=20):
    return Image.new(mode, (width, height), colour)


def see_through_palette():
    image = Image.new("P", (30, 20), 1)
    image.putpalette([0, 0, 0, *RED])
    image.info["transparency"] = 1
    return image


def two_frames(kind, **options):
    blue = plain("RGB", (0, 0, 99))
    return encoded(plain("RGB", RED), kind, save_all=True, append_images=[blue], **options)


def tagged(image, **tags):
    """A TIFF that says of itself what these tags, by their numbers, are."""
    return encoded(image, "TIFF", tiffinfo={int(tag[1:]): value for tag, value in tags.items()})


def big_endian(image):
    """A TIFF of 16 bits with the more significant byte first."""
    pixels = image.tobytes()
    entries = [(256, image.width), (257, image.height), (258, 16), (259, 1), (262, 1)]
    entries += [(273, 8), (277, 1), (278, image.height), (279, len(pixels))]
    directory = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in entries)
    swapped = np.frombuffer(pixels, "<u2").astype(">u2").tobytes()
    start = struct.pack(">2sHI", b"MM", 42, 8 + len(swapped))
    return start + swapped + struct.pack(">H", len(entries)) + directory + bytes(4)


KINDS = {
    "png": (encoded(plain("RGB", RED)), RED, GREY_OF_RED),
    "bmp": (encoded(plain("RGB", RED), "BMP"), RED, GREY_OF_RED),
    "gif": (encoded(plain("RGB", RED), "GIF"), RED, GREY_OF_RED),
    "jpeg": (encoded(plain("RGB", RED), "JPEG", quality=95), RED, GREY_OF_RED),
    "cmyk": (encoded(plain("RGB", RED).convert("CMYK"), "JPEG", quality=95), RED, GREY_OF_RED),
    "palette": (encoded(plain("RGB", RED).quantize(4)), RED, GREY_OF_RED),
    "grey": (encoded(plain("L", 77)), (77, 77, 77), 77),
    "grey jpeg": (encoded(plain("L", 77), "JPEG"), (77, 77, 77), 77),
    "a bit": (encoded(plain("1", 1)), WHITE, 255),
    "16 bits": (encoded(plain("I;16", 0x80FF)), (0x80, 0x80, 0x80), 0x80),
    "opaque": (encoded(plain("RGBA", (*RED, 255))), RED, GREY_OF_RED),
    # A fifth of red on white: 0.2 · 200 + 0.8 · 255 and 0.8 · 255.
    "transparent": (encoded(plain("RGBA", (*RED, 51))), (244, 204, 204), 216),
    "transparent grey": (encoded(plain("LA", (100, 51))), (224, 224, 224), 224),
    "transparent in a palette": (encoded(see_through_palette(), transparency=1), WHITE, 255),
    "frames": (two_frames("GIF"), RED, GREY_OF_RED),
    "webp": (encoded(plain("RGB", RED), "WEBP", lossless=True), RED, GREY_OF_RED),
    "lossy webp": (encoded(plain("RGB", RED), "WEBP", quality=95), RED, GREY_OF_RED),
    "transparent webp": (
        encoded(plain("RGBA", (*RED, 51)), "WEBP", lossless=True),
        (244, 204, 204),
        216,
    ),
    "animated webp": (two_frames("WEBP", lossless=True), RED, GREY_OF_RED),
    "tiff": (encoded(plain("RGB", RED), "TIFF"), RED, GREY_OF_RED),
    "lzw": (encoded(plain("RGB", RED), "TIFF", compression="tiff_lzw"), RED, GREY_OF_RED),
    "cmyk tiff": (encoded(plain("RGB", RED).convert("CMYK"), "TIFF"), RED, GREY_OF_RED),
    "palette tiff": (encoded(plain("RGB", RED).quantize(4), "TIFF"), RED, GREY_OF_RED),
    "a bit of tiff": (encoded(plain("1", 1), "TIFF"), WHITE, 255),
    "white is zero": (tagged(plain("L", 77), _262=0), (77, 77, 77), 77),
    "transparent tiff": (encoded(plain("RGBA", (*RED, 51)), "TIFF"), (244, 204, 204), 216),
    "16-bit tiff": (encoded(plain("I;16", 0x80FF), "TIFF"), (0x80, 0x80, 0x80), 0x80),
    "big-endian tiff": (big_endian(plain("I;16", 0x80FF)), (0x80, 0x80, 0x80), 0x80),
    "pages": (two_frames("TIFF"), RED, GREY_OF_RED),
}
"""For each kind of file its contents, the colour that all its pixels have, and their grey."""


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claiming(width, height):
    """A PNG of a few bytes whose header claims that size: decoded, it would be damaged."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def noise(kind):
    pixels = np.random.default_rng(0).integers(0, 256, [60, 60, 3], np.uint8)
    return encoded(Image.fromarray(pixels), kind)


OTHER_FORMAT = "no PNG, JPEG, BMP, GIF, WebP or TIFF that can be read"
NUMBERS = "a TIFF of floating-point or other numbers; convert it to 8 or 16 bits, grey or RGB"
BAD = {
    "empty.png": (b"", OTHER_FORMAT),
    "words.jpg": (
        b"not an image at all, whatever its name says",
        OTHER_FORMAT,
    ),
    "other.png": (noise("PPM"), OTHER_FORMAT),
    "cut.jpg": (noise("JPEG")[:-1000], "damaged: .*truncated"),
    "cut.png": (noise("PNG")[:-1000], "damaged: "),
    "begun.jpg": (noise("JPEG")[:20], "no PNG, JPEG.*|damaged: "),
    "broken.png": (noise("PNG")[:3000] + b"broken" + noise("PNG")[3006:], "damaged: "),
    "low.png": (encoded(plain("RGB", RED, 40, 7)), "40 × 7 pixels, smaller than 8 × 8"),
    "narrow.gif": (encoded(plain("L", 5, 1, 90), "GIF"), "1 × 90 pixels, smaller than 8 × 8"),
    "cut.webp": (noise("WEBP")[:-100], "damaged: |no PNG, JPEG"),
    "cut.tiff": (noise("TIFF")[:-1000], "damaged: |no PNG, JPEG"),
    "low.webp": (encoded(plain("RGB", RED, 40, 7), "WEBP"), "40 × 7 pixels, smaller than 8 × 8"),
    "float.tif": (encoded(plain("F", 0.5), "TIFF"), NUMBERS),
    "32 bits.tif": (encoded(plain("I", 70_000), "TIFF"), NUMBERS),
    "lab.tif": (encoded(Image.new("LAB", (30, 20)), "TIFF"), NUMBERS),
    "white is zero.tif": (tagged(plain("I;16", 7), _262=0), NUMBERS),
    "large.png": (claiming(9_000, 8_000), "9000 × 8000 pixels, more than 67,108,864"),
    "huge.png": (claiming(100_000, 100_000), "more than 67,108,864 pixels"),
}
"""For each bad file its contents and what it is said to be, a regular expression."""
