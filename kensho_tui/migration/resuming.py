"""Where a disk goes on after a crash: the resume point as it stands in the journal, and its reasons.

A mark is a few hundred bytes whatever the disk's size is. It is good for one source, one way of reading
it and one way of writing it; where any of them is not what it was, the disk starts again.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from kensho_tui.disks.image import Access, Format, Offer
from kensho_tui.disks.resume import Point
from kensho_tui.errors import KenshoError
from kensho_tui.migration.context import JobContext, Json
from kensho_tui.migration.units import memory


class AnewError(KenshoError):
    """The disk has to start again from its beginning; says why."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A resume point of one disk.

    Attributes:
        identity: of the source (`backends.base.Reader.identity`).
        source, target: how it was read and written.
    """

    identity: str
    source: Offer
    target: Offer
    point: Point

    def to_json(self) -> Json:
        """For the journal."""
        return {
            "identity": self.identity,
            "source": [str(self.source.format), self.source.access.value],
            "target": [str(self.target.format), self.target.access.value],
            "point": asdict(self.point),
        }

    @classmethod
    def from_json(cls, data: Json) -> "Mark":
        """Raises: AnewError: another version of Kensho wrote it, in words that are not known here."""
        try:
            return cls(
                str(data["identity"]),
                _offer(data["source"]),
                _offer(data["target"]),
                Point(**data["point"]),
            )
        except (TypeError, KeyError, ValueError) as error:
            raise AnewError("another version has noted how far it was") from error

    def offers(self, sources: Sequence[Offer], targets: Sequence[Offer]) -> tuple[Offer, Offer]:
        """The same two ways as they are offered now. Raises: AnewError: one of them is not."""
        source = next((each for each in sources if _alike(each, self.source)), None)
        target = next((each for each in targets if _alike(each, self.target)), None)
        if source is None:
            raise AnewError("the source is not given the same way as before")
        if target is None:
            raise AnewError("the target does not take it the same way as before")
        return source, target

    def told(self, capacity: int | None, compared: bool) -> str:
        """What the log says when the disk goes on."""
        of = f" of {memory(capacity)}" if capacity else ""
        seen = (
            "what was written last was read back and is the same"
            if compared
            else "the target gives nothing back to compare, its own word counts"
        )
        return (
            f"goes on at {memory(self.point.position)}{of}: the source is the same, and {seen};"
            " what lies before is read once more to be verified, and not sent again"
        )


def journaled(context: JobContext, step: str) -> Mark | None:
    """The step's last resume point; None: it has none.

    Raises: AnewError: it has one that is not understood.
    """
    past = context.past(step)
    return None if past is None or past.resume is None else Mark.from_json(past.resume)


def position(context: JobContext, step: str) -> int:
    """Guest bytes that the step's last resume point has behind it; 0 where there is none."""
    try:
        mark = journaled(context, step)
    except AnewError:
        return 0
    return mark.point.position if mark else 0


def _alike(one: Offer, other: Offer) -> bool:
    return (one.format, one.access) == (other.format, other.access)


def _offer(data: Json) -> Offer:
    format_, access = data
    return Offer(Format(format_), Access(access))
