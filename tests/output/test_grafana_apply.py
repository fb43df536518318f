"""`tiercli dashboards apply` against a fake of Grafana's server that answers as Grafana's API documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.grafana_fake import TOKEN, FakeGrafana, Saved, fake_grafana
from tests.conftest import HYBRID, Done
from tiercli.catalog.loading import LoadedCatalog
from tiercli.conventions import dashboard_uid, folder_uid

Apply = Callable[..., Done]


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    """An empty Grafana."""
    with fake_grafana() as fake:
        yield fake


@pytest.fixture
def apply(grafana: FakeGrafana, run_tiercli: Apply, monkeypatch: pytest.MonkeyPatch) -> Apply:
    """`tiercli dashboards apply CATALOG`, with the token in the environment and any further arguments."""
    monkeypatch.setenv("TIERCLI_GRAFANA_TOKEN", TOKEN)

    def run(*arguments: str, catalog: Path = HYBRID) -> Done:
        done = run_tiercli("dashboards", "apply", str(catalog), "--grafana", grafana.url, *arguments)
        assert TOKEN not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def home(hybrid: LoadedCatalog) -> str:
    """The uid of the home board."""
    return dashboard_uid("home", hybrid.catalog.estate, hybrid.catalog.env)


def test_it_creates_the_folder_and_every_board_and_then_changes_nothing(
    grafana: FakeGrafana, apply: Apply, hybrid: LoadedCatalog, home: str
) -> None:
    done = apply()
    assert (done.returncode, done.stderr) == (0, "")
    folder = folder_uid(hybrid.catalog.estate, hybrid.catalog.env)
    assert grafana.folders == {folder: "LLM traffic (content-company, production)"}
    assert len(grafana.boards) == 10
    content, message, _ = grafana.boards[home].versions[0]
    assert content["title"] == "LLM traffic: home"
    assert grafana.boards[home].folder == folder
    assert message.startswith("tiercli: catalog ")
    assert "10 created, 0 updated, 0 unchanged" in done.stdout
    grafana.writes.clear()
    again = apply()
    assert (again.returncode, grafana.writes) == (0, [])
    assert "0 created, 0 updated, 10 unchanged" in again.stdout


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(grafana: FakeGrafana, apply: Apply) -> None:
    done = apply("--dry-run", "--format", "json")
    said = json.loads(done.stdout)
    assert (done.returncode, grafana.writes) == (0, [])
    assert said["new_folder"] is True
    assert {one["action"] for one in said["dashboards"]} == {"create"}


def test_a_board_that_tiercli_saved_last_is_updated(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    held = grafana.boards[home].versions[-1]
    older = held[0] | {"description": "an older text"}
    grafana.boards[home].versions[-1] = (older, "tiercli: catalog 0123456789ab, board 0123456789ab", "tiercli")
    done = apply()
    assert done.returncode == 0, done.stderr
    assert "~ home\n" in done.stdout
    assert "1 updated, 9 unchanged" in done.stdout
    assert grafana.boards[home].versions[-1][0]["description"] == held[0]["description"]


def test_a_board_that_somebody_edited_stops_everything_unless_forced(
    grafana: FakeGrafana, apply: Apply, home: str
) -> None:
    apply()
    grafana.edit(home, "wider panes", title="Mine")
    del grafana.boards[dashboard_uid("cost", "content-company", "production")]
    grafana.writes.clear()
    done = apply()
    assert (done.returncode, grafana.writes) == (1, [])
    assert f"home ({home}): version 2 was saved in Grafana by alice, with the message 'wider panes'" in done.stderr
    forced = apply("--force")
    assert forced.returncode == 0, forced.stderr
    assert grafana.boards[home].versions[-1][0]["title"] == "LLM traffic: home"
    assert "1 created, 1 updated, 8 unchanged" in forced.stdout


def test_an_edit_that_was_taken_back_is_no_edit(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    grafana.edit(home, "Restored from version 1")
    done = apply()
    assert (done.returncode, "10 unchanged" in done.stdout) == (0, True)


def test_a_board_of_another_environment_is_not_taken_for_ours(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    content, message, by = grafana.boards[home].versions[-1]
    other = content | {"tags": ["tiercli", "content-company", "staging"]}
    grafana.boards[home].versions[-1] = (other, message.replace("board ", "board 0")[:-1], by)
    done = apply()
    assert done.returncode == 1
    assert "another estate or environment (tiercli, content-company, staging)" in done.stderr


def test_a_moved_board_is_not_moved_back_unasked(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    grafana.boards[home].folder = "team-x"
    assert "it was moved in Grafana to the folder team-x" in apply().stderr
    assert apply("--force").returncode == 0
    assert grafana.boards[home].folder != "team-x"


def test_a_provisioned_board_is_refused_even_with_force(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    grafana.edit(home, description="other")
    grafana.boards[home].provisioned = True
    done = apply("--force")
    assert done.returncode == 1
    assert "provisioned from a file" in done.stderr


def test_a_board_saved_between_looking_and_saving_is_not_lost(grafana: FakeGrafana, apply: Apply, home: str) -> None:
    apply()
    content, _, _ = grafana.boards[home].versions[-1]
    grafana.boards[home].versions[-1] = (content, "tiercli: catalog 0123456789ab, board 0123456789ab", "tiercli")
    grafana.before_save = lambda: grafana.edit(home, title="Mine")
    done = apply()
    assert done.returncode == 1
    assert "changed by someone else" in done.stderr
    assert "somebody saved it just now" in done.stderr
    assert grafana.boards[home].versions[-1][0]["title"] == "Mine"


def test_a_board_of_the_same_name_in_the_folder_is_told(
    grafana: FakeGrafana, apply: Apply, hybrid: LoadedCatalog
) -> None:
    folder = folder_uid(hybrid.catalog.estate, hybrid.catalog.env)
    grafana.folders[folder] = "LLM traffic"
    grafana.boards["theirs"] = Saved(folder, [({"uid": "theirs", "title": "LLM traffic: overview"}, "", "bob")])
    grafana.boards["theirs"].versions[0][0]["title"] = "LLM traffic: provider"
    done = apply()
    assert done.returncode == 1
    assert "another dashboard in that folder has this name" in done.stderr
    assert "saved before it: home, overview" in done.stderr


def test_a_token_that_is_not_accepted_or_may_not_write_is_exit_3(
    grafana: FakeGrafana, apply: Apply, tmp_path: Path
) -> None:
    wrong = tmp_path / "token"
    wrong.write_text("glsa_wrong\n")
    done = apply("--token-file", str(wrong))
    assert (done.returncode, "does not accept the token (HTTP 401)" in done.stderr) == (3, True)
    assert "glsa_wrong" not in done.stderr
    grafana.may_write = False
    done = apply()
    assert (done.returncode, "denies this account (HTTP 403)" in done.stderr) == (3, True)


def test_a_token_file_wins_over_the_environment(
    grafana: FakeGrafana, apply: Apply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERCLI_GRAFANA_TOKEN", "glsa_wrong")
    right = tmp_path / "token"
    right.write_text(f"{TOKEN}\n")
    assert apply("--dry-run", "--token-file", str(right)).returncode == 0


@pytest.mark.parametrize("content", [None, "", "two tokens", "pass\nwd"])
def test_a_token_file_without_a_token_is_exit_2(apply: Apply, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    done = apply("--token-file", str(file))
    assert done.returncode == 2
    assert str(file) in done.stderr
    assert content is None or not content or content.split()[0] not in done.stderr.replace(str(file), "")


def test_certificates_that_are_none_are_exit_2(apply: Apply, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        done = apply("--ca-file", str(tmp_path / name))
        assert (done.returncode, "has no certificate to trust" in done.stderr) == (2, True)
