"""The moving part of the console: the stage that is on, its hosts, and what is still to come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from dojo_deploy.reporters.board import Board, Gauge, Lane
from dojo_deploy.reporters.styled import line
from dojo_deploy.reporters.text import counted, fit, inert, named, seconds

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
MARKS = {"waiting": ("·", "dim"), "running": ("", "cyan"), "done": ("✓", "green"), "failed": ("✗", "bold red")}
MOST_LANES = 16
BAR = 28


def draw(board: Board, *, now: float, width: int, height: int) -> Text:
    """At most `height` lines of at most `width` cells."""
    frame = FRAMES[int(now * 10) % len(FRAMES)]
    rows = [Text()]
    if board.stage:
        rows.append(_stage_row(board, frame, now, width))
        foot = _foot(board, now)
        room = max(height - len(rows) - len(foot) - 1, 1)
        rows += _lane_rows(board, frame, now, width, min(room, MOST_LANES))
        rows += foot
    else:
        rows.append(line((f"{frame} ", "cyan"), (f"{board.run.strategy or 'starting'} …", "dim"), ("  ", "")))
    for row in rows:
        row.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(rows[:height])


def _stage_row(board: Board, frame: str, now: float, width: int) -> Text:
    style = "bold yellow" if board.undoing else "bold"
    left = line((f"{frame} ", "yellow" if board.undoing else "cyan"), (inert(board.stage), style))
    left.append(f"  {fit(named(map(inert, board.lanes)), max(width - len(left) - 14, 8))}", "dim")
    return _ends(left, seconds(now - board.stage_began), width)


def _lane_rows(board: Board, frame: str, now: float, width: int, room: int) -> Iterator[Text]:
    lanes = list(board.lanes.values())
    if len(lanes) > room:
        yield _crowd_row(lanes, width)
        # Whom to look at: who failed, then who has been at it for longest.
        lanes = [lane for lane in lanes if lane.state in ("failed", "running")]
        lanes.sort(key=lambda lane: (lane.state != "failed", lane.since))
        lanes = lanes[: max(min(room - 1, 6), 0)]
    pad = min(max((len(inert(lane.host)) for lane in lanes), default=0), 24)
    spare = room - len(lanes)
    for lane in lanes:
        below = 0 < len(lane.gauges) <= spare
        yield _lane_row(board, lane, frame, now, width, pad, "" if below else _brief(lane))
        if below:
            spare -= len(lane.gauges)
            yield from _gauge_rows(board, lane, pad)


def _lane_row(board: Board, lane: Lane, frame: str, now: float, width: int, pad: int, brief: str) -> Text:
    mark, style = MARKS[lane.state]
    row = line(("  ", ""), (f"{mark or frame} ", style), (fit(inert(lane.host), pad).ljust(pad), ""), "  ")
    if lane.state == "waiting":
        return row
    row.append(fit(inert(lane.name), 20), "red" if lane.state == "failed" else "" if lane.running else "dim")
    if brief:
        row.append(f"   {inert(brief)}", "dim")
    time = seconds(now - lane.since) if lane.state == "running" else ""
    steps = f"{lane.finished}/{lane.steps}" if lane.steps > 1 and lane.state == "running" and not board.undoing else ""
    return _ends(row, f"{steps:>5} {time:>9}" if time else "", width)


def _brief(lane: Lane) -> str:
    """One thing to say of a lane that has one line."""
    bad = next((f"{probe} {gauge.detail}" for probe, gauge in lane.gauges.items() if not gauge.ok), "")
    return bad or (lane.output if lane.running else "")


def _gauge_rows(board: Board, lane: Lane, pad: int) -> Iterator[Text]:
    wanted = board.in_a_row.get(f"{board.stage}/{lane.host}/{lane.step}", 0)
    probes = max(len(inert(probe)) for probe in lane.gauges)
    for probe, gauge in lane.gauges.items():
        row = line(" " * (pad + 6), (inert(probe).ljust(probes + 2), "dim"))
        row.append_text(_count(gauge, wanted))
        row.append(inert(gauge.detail), "" if gauge.ok or not gauge.counts else "red")
        yield row


def _count(gauge: Gauge, wanted: int) -> Text:
    """`✓✓·  2/3`, where the plan tells how many in a row are wanted."""
    good = min(gauge.row, wanted or 1, 5)
    cells = max(min(wanted or 1, 5), 1)
    if not gauge.ok:
        mark, style = ("✗", "bold red") if gauge.counts else ("…", "dim")
        text = line((mark.ljust(cells), style))
    else:
        text = line(("✓" * good, "green"), ("·" * (cells - good), "dim"))
    return text.append(f"  {min(gauge.row, wanted)}/{wanted}  " if wanted else "  ", "dim")


def _crowd_row(lanes: list[Lane], width: int) -> Text:
    counts = Counter(lane.state for lane in lanes)
    cells = min(BAR, width // 4)
    row = line("  ")
    used = 0
    for state, style in (("done", "green"), ("failed", "red"), ("running", "cyan")):
        part = round(cells * counts[state] / len(lanes)) or min(counts[state], 1)
        part = min(part, cells - used)
        row.append("━" * part, style)
        used += part
    row.append("━" * (cells - used), "bright_black")
    for state in ("done", "running", "failed", "waiting"):
        if counts[state]:
            row.append(f"  {counts[state]} {state}", MARKS[state][1])
    return row


def _foot(board: Board, now: float) -> list[Text]:
    traffic = line("  ")
    if board.drained:
        traffic.append_text(line(("drained ", "dim"), (named(map(inert, board.drained)), "yellow"), "   "))
    if board.serving:
        traffic.append_text(line(("back in ", "dim"), (named(map(inert, board.serving)), "green"), "   "))
    order = list(board.stages)
    later = order[order.index(board.stage) + 1 :] if board.stage in order else []
    traffic.append(seconds(now - board.began), "dim")
    if later:
        text = ", ".join(map(inert, later)) if len(later) < 4 else f"{inert(later[0])} … {inert(later[-1])}"
        traffic.append(f"   then {text}" + (f" ({counted(len(later), 'stage')})" if len(later) > 3 else ""), "dim")
    if board.warnings:
        traffic.append(f"   {counted(board.warnings, 'warning')}", "yellow")
    return [Text(), traffic]


def _ends(left: Text, right: str, width: int) -> Text:
    """`right` at the right edge, cutting `left` where both cannot be."""
    width = min(width, 110)
    if right:
        left.truncate(width - len(right) - 2, overflow="ellipsis")
        left.append(" " * (width - left.cell_len - len(right)))
        left.append(right, "dim")
    return left
