"""Applying dashboards to a running Grafana: first plan the changes to all of them, then make all or none.

Each save carries a message with the hash of the catalog and of the board. An edit in Grafana makes a new version with another
message. So the last message shows whether tiercli saved the current version, and of which board. (The content alone does not:
newer Grafanas add keys of their own to what they store.)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiercli.clients.grafana import GrafanaClient, SaveRefused, StoredBoard
from tiercli.conventions import DASHBOARD_TAG
from tiercli.errors import CheckFailed

_MESSAGE = re.compile(r"^tiercli: catalog [0-9a-f]{12}, board ([0-9a-f]{12})$")
_OF_GRAFANA = ("id", "version")  # keys that Grafana sets


class Action(StrEnum):
    """What applying does with a board."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class PlannedBoard:
    """What is to be done with one board; `reason`: why it is refused, or why overwriting it needed --force."""

    name: str
    content: Mapping[str, Any]
    action: Action
    reason: str = ""
    version: int = 0

    @property
    def uid(self) -> str:
        """The board's uid."""
        return str(self.content["uid"])


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What is to be done: the folder to create if `new_folder`, and each board."""

    folder_uid: str
    folder_title: str
    new_folder: bool
    boards: tuple[PlannedBoard, ...]

    @property
    def refused(self) -> tuple[PlannedBoard, ...]:
        """The boards that are not overwritten."""
        return tuple(board for board in self.boards if board.action is Action.REFUSE)


def board_digest(content: Mapping[str, Any]) -> str:
    """The hash of a board's content, without what Grafana sets."""
    kept = {key: value for key, value in content.items() if key not in _OF_GRAFANA}
    return _digest(json.dumps(kept, sort_keys=True, ensure_ascii=False))


def save_message(catalog_text: str, content: Mapping[str, Any]) -> str:
    """The message of a save, from the catalog's text and the board."""
    return f"tiercli: catalog {_digest(catalog_text)}, board {board_digest(content)}"


def plan_board(
    name: str, content: Mapping[str, Any], stored: StoredBoard | None, folder: str, force: bool
) -> PlannedBoard:
    """What to do with a board, given what Grafana holds under its uid."""
    if stored is None:
        return PlannedBoard(name, content, Action.CREATE)
    message = _MESSAGE.match(stored.message or "")
    in_place = stored.folder_uid == folder
    last = message[1] if message is not None else board_digest(stored.content)
    if in_place and last == board_digest(content):
        return PlannedBoard(name, content, Action.UNCHANGED, version=stored.version)
    if stored.provisioned:
        reason = "it is provisioned from a file, so Grafana does not save changes to it"
        return PlannedBoard(name, content, Action.REFUSE, reason, stored.version)
    reason = _why_not(content, stored, ours=message is not None, in_place=in_place)
    action = Action.REFUSE if reason and not force else Action.UPDATE
    return PlannedBoard(name, content, action, reason, stored.version)


async def plan_apply(
    client: GrafanaClient, folder: tuple[str, str], boards: Mapping[str, Mapping[str, Any]], *, force: bool = False
) -> ApplyPlan:
    """Plan to apply `boards` (content by name) to `folder` (uid and title); only reads."""
    uid, title = folder
    known = await client.folder_title(uid)
    planned = []
    for name, content in boards.items():
        planned.append(plan_board(name, content, await client.board(str(content["uid"])), uid, force))
    return ApplyPlan(uid, title, known is None, tuple(planned))


async def apply_plan(client: GrafanaClient, plan: ApplyPlan, catalog_text: str, *, force: bool = False) -> None:
    """Carry out a plan. Raises CheckFailed before anything is written when a board is refused; and when somebody saved a board
    since the plan was made: then the error names the boards that were already saved."""
    if plan.refused:
        raise refusal(plan)
    if plan.new_folder and any(board.action is not Action.UNCHANGED for board in plan.boards):
        await client.create_folder(plan.folder_uid, plan.folder_title)
    saved: list[str] = []
    for board in plan.boards:
        if board.action is Action.UNCHANGED:
            continue
        content = dict(board.content)
        if board.action is Action.UPDATE:
            content["version"] = board.version
        message = save_message(catalog_text, board.content)
        try:
            await client.save_board(content, plan.folder_uid, message, overwrite=force)
        except SaveRefused as error:
            raise _stopped(board, error, saved) from error
        saved.append(board.name)


def refusal(plan: ApplyPlan) -> CheckFailed:
    """The error that says why nothing is written."""
    count = len(plan.refused)
    provisioned = all("provisioned" in board.reason for board in plan.refused)
    return CheckFailed(
        f"{'1 dashboard is' if count == 1 else f'{count} dashboards are'} not overwritten; nothing was saved",
        details=[f"{board.name} ({board.uid}): {board.reason}" for board in plan.refused],
        hint="remove it from Grafana's provisioning, or deliver the files there"
        if provisioned
        else "move the changes into the catalog or a board of your own, or overwrite them with --force",
    )


def _why_not(content: Mapping[str, Any], stored: StoredBoard, *, ours: bool, in_place: bool) -> str:
    """Why a board is not overwritten without --force; "" where it is."""
    tags = stored.content.get("tags") or ()
    if DASHBOARD_TAG in tags and set(tags) != set(content.get("tags", ())):
        return f"it belongs to another estate or environment ({', '.join(map(str, tags))})"
    if stored.message is None:
        return "it differs, and Grafana does not report who saved it last"
    if not ours:
        who = f" by {stored.saved_by}" if stored.saved_by else ""
        words = f", with the message {stored.message!r}" if stored.message else ""
        return f"version {stored.version} was saved in Grafana{who}{words}"
    return "" if in_place else f"it was moved in Grafana to the folder {stored.folder_uid or 'General'}"


def _stopped(board: PlannedBoard, error: SaveRefused, saved: Sequence[str]) -> CheckFailed:
    done = f"saved before it: {', '.join(saved)}" if saved else "nothing was saved"
    hints = {
        "version-mismatch": "somebody saved it just now: check it, then run this again",
        "name-exists": "another dashboard in that folder has this name: rename or move it",
        "plugin-dashboard": "a plugin owns this uid: choose another",
    }
    return CheckFailed(f"{error.message}; {done}", hint=hints.get(error.status, "see Grafana's answer above"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
