"""Whom we tell of maintenance: the board in the hall, which shows the files of a folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dojo_deploy.errors import NoticeError
from dojo_deploy.interfaces import Session
from dojo_deploy.notices import Notice


@dataclass(frozen=True)
class Board:
    """A file for each thing that is told, a line for each notice of it. `kind: our_company.notifiers:Board`."""

    folder: str
    is_public: bool = False

    def tell(self, session: Session, notice: Notice, known: str) -> str:
        """Repeatable: the file goes by what the notice is about."""
        del session
        name = known or f"{notice.of}.jsonl"
        line = json.dumps(asdict(notice))
        path = Path(self.folder) / name
        try:
            if path.exists() and path.read_text().splitlines()[-1:] == [line]:
                return name
            with path.open("a") as file:
                file.write(f"{line}\n")
        except OSError as exc:
            raise NoticeError(f"the board in {self.folder}: {exc.strerror}") from exc
        return name
