"""`make face`: write the files of the public face from the code as it is now, and name those that changed."""

from __future__ import annotations

from tests.architecture.face import SIDES, kept, written


def main() -> None:
    """Write every file whose text is another one now."""
    for side in SIDES:
        path, text = kept(side), written(side)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{path.name}: changed; say so in CHANGELOG.md, and in docs/decisions if it breaks what others wrote")


if __name__ == "__main__":
    main()
