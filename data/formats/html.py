"""The text of HTML as Label Studio counts offsets in it, and as it reads."""

from bisect import bisect_left, bisect_right
from html.parser import HTMLParser

from tagbelt.data.formats.record import Mark

_INLINE = {"a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "mark", "q"}
_INLINE |= {"s", "small", "span", "strong", "sub", "sup", "u"}
_UNSEEN = ("script", "style")


class HtmlText(HTMLParser):
    """`text` is what lies between the tags, in which offsets count; a `<br>` is a line break."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._length = 0
        self._breaks: set[int] = set()
        self._unseen = 0
        self.feed(html.replace("\r\n", "\n").replace("\r", "\n"))
        self.close()
        self.text = "".join(self._parts)
        # Blocks without white space between would read as one word.
        inner = {n for n in self._breaks if 0 < n < len(self.text)}
        self._places = sorted(n for n in inner if not self.text[n - 1 : n + 1].isspace())

    def readable(self) -> str:
        """The text with a line break between blocks."""
        ends = [*self._places, len(self.text)]
        starts = [0, *self._places]
        return "\n".join(self.text[a:b] for a, b in zip(starts, ends, strict=True))

    def moved(self, mark: Mark) -> Mark:
        """A mark of `text` as one of `readable`."""
        start = mark.start + bisect_right(self._places, mark.start)
        return Mark(start, mark.end + bisect_left(self._places, mark.end), mark.label)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Note where a block begins."""
        if tag == "br":
            self._take("\n")
        self._block(tag)
        self._unseen += tag in _UNSEEN

    def handle_endtag(self, tag: str) -> None:
        """Note where a block ends."""
        self._block(tag)
        self._unseen -= tag in _UNSEEN and self._unseen > 0

    def handle_data(self, data: str) -> None:
        """Take the text between tags."""
        if not self._unseen:
            self._take(data)

    def _block(self, tag: str) -> None:
        if tag not in _INLINE:
            self._breaks.add(self._length)

    def _take(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
