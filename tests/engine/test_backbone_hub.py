from __future__ import annotations

import errno
import hashlib
import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch
from huggingface_hub.utils import close_session

from backbone_weights import (
    HUB_ID,
    WARNING,
    gently,
    multiplier_of,
    naming,
    never,
    same,
    told,
    trainer_of,
    warned,
    write,
)
from maskfree.errors import InputWarning
from maskfree.model import hub_folder, known_weights
from maskfree.model.checkpoint import read_tensors
from maskfree.train import finetune

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.config import Config, ModelConfig
    from maskfree.session import Session

# a hub


@pytest.mark.usefixtures("unreachable")
def test_a_hub_out_of_reach_warns_once_and_fresh_weights_are_trained(
    small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu", seed=5))) == 4
    config = naming(gently(small_config), HUB_ID)
    with pytest.warns(InputWarning) as caught:
        assert len(list(finetune(small_session, config, device="cpu", seed=5))) == 4
    assert [str(each.message) for each in caught] == [WARNING]
    first, second = small_session.runs()
    assert second.status == "done"
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


@pytest.mark.usefixtures("unreachable")
def test_fresh_weights_in_place_of_pretrained_ones_learn_at_the_full_rate(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    config = gently(small_config)
    assert multiplier_of(trainer_of(small_session, config)) == 0.1
    with pytest.warns(InputWarning, match="learn at the full rate in this run"):
        fresh = trainer_of(small_session, naming(config, HUB_ID))
    assert multiplier_of(fresh) == 1.0
    write(tmp_path, small_config.model)
    pretrained = trainer_of(small_session, naming(config, tmp_path))
    assert multiplier_of(pretrained) == 0.1
    for trainer, expected in ((fresh, 1.0), (pretrained, 0.1)):
        run = small_session.new_run(trainer.config, seed=1)
        trainer.save(run, 1)
        resumed = trainer_of(small_session, trainer.config, resumed=True)
        assert resumed.restore(run.state_path) == 1
        assert multiplier_of(resumed) == expected


@pytest.mark.usefixtures("unreachable")
def test_a_resumed_run_goes_on_at_the_rate_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu", seed=2))) == 4
    with pytest.warns(InputWarning, match="could not be fetched"):
        steps = finetune(small_session, naming(gently(small_config), HUB_ID), device="cpu", seed=2)
        for _ in range(2):
            next(steps)
    steps.close()  # type: ignore[attr-defined]
    monkeypatch.setattr("maskfree.trainer.chosen_pretrained", never)
    monkeypatch.setattr("maskfree.model.backbone.pretrained_backbone", never)
    assert len(list(finetune(small_session, small_config, device="cpu", resume=True))) == 2
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the hub raise ``error``."""

    class Api:
        def model_info(self, *_: Any, timeout: float) -> Any:
            raise error

    monkeypatch.setattr(hub_folder, "HfApi", Api)
    monkeypatch.setattr(hub_folder, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("[Errno 113] No route to host"), "[Errno 113] No route to host"),
        (OSError(), "OSError"),
        (OSError(errno.ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
        (PermissionError(errno.EACCES, "Denied", "at"), "[Errno 13] Denied: 'at'"),
        (ImportError("no package for this proxy."), "no package for this proxy"),
        (ValueError("Unknown scheme for proxy URL"), "Unknown scheme for proxy URL"),
        (RuntimeError("data did not match"), "data did not match"),
        (Exception("Invalid port: 'port'"), "Invalid port: 'port'"),
    ],
)
def test_whatever_keeps_weights_from_being_fetched_is_a_warning_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, error: Exception, reason: str
) -> None:
    fails(monkeypatch, error)
    found, (text,) = warned(model_config, HUB_ID)
    assert found == {}
    assert f"could not be fetched from the hub or its cache ({reason}). It begins" in text


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_failure_of_the_hub_goes_on(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, error: type[BaseException]
) -> None:
    fails(monkeypatch, error())
    with pytest.raises(error):
        warned(model_config, HUB_ID)


@pytest.mark.usefixtures("unreachable")
def test_a_mistyped_folder_is_told_as_one(model_config: ModelConfig) -> None:
    _, (text,) = warned(model_config, "weightz")
    assert "but there is no folder weightz here, and they could not be fetched" in text


@pytest.fixture
def own_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache, and connections that are made anew."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    close_session()
    yield
    close_session()


@pytest.mark.usefixtures("own_session")
@pytest.mark.parametrize(
    ("proxy", "reason"), [("socks4://127.0.0.1:9", "scheme"), ("http://host:port", "port")]
)
def test_a_proxy_that_cannot_be_used_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, proxy: str, reason: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    found, (text,) = warned(model_config, HUB_ID)
    assert found == {}
    assert reason in text[: text.index("). It begins")]


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page that asks to log in."""

    def do_GET(self) -> None:
        page = b"<html>Welcome to our hotel</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.usefixtures("own_session")
def test_a_page_in_place_of_the_hub_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig
) -> None:
    real = hub_folder.HfApi
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(hub_folder, "HfApi", lambda: real(endpoint=address, token=False))
        found, (text,) = warned(model_config, HUB_ID)
        server.shutdown()
    assert found == {}
    assert "(what answered is not the hub: Expecting value" in text


def test_a_hub_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_config: ModelConfig
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_folder, "_TIMEOUT", 0.3)
    real = hub_folder.HfApi
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(hub_folder, "HfApi", lambda: real(endpoint=address, token=False))
        started = time.monotonic()
        found, texts = warned(model_config, HUB_ID)
    assert (found, len(texts)) == ({}, 1)
    assert time.monotonic() - started < 10


class Files:
    """A hub that has one folder, and what was asked of it."""

    known_as = HUB_ID

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def __call__(self) -> Files:
        return self

    def model_info(self, hub_id: str, *, timeout: float) -> Any:
        assert hub_id == self.known_as
        names = [each.name for each in self.folder.iterdir()]
        siblings = [type("Sibling", (), {"rfilename": name}) for name in names]
        return type("Info", (), {"siblings": siblings})

    def download(self, hub_id: str, name: str, *, etag_timeout: float) -> str:
        assert hub_id == self.known_as
        self.asked.append(name)
        return str(self.folder / name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files(tmp_path / "hub")
    monkeypatch.setattr(hub_folder, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub_folder, "HfApi", made)
    monkeypatch.setattr(hub_folder, "hf_hub_download", made.download)
    return made


def test_what_a_hub_has_is_downloaded_safetensors_first(
    hub: Files, model_config: ModelConfig
) -> None:
    expected = write(hub.folder, model_config)
    (hub.folder / "pytorch_model.bin").write_bytes(b"never looked at")
    found, texts = warned(model_config, HUB_ID)
    assert texts == []
    assert hub.asked == ["config.json", "model.safetensors"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", ["microsoft/resnet-50", "Microsoft/ResNet-50"])
def test_weights_that_are_known_must_be_those(
    hub: Files, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(hub.folder, model_config)
    monkeypatch.setattr(Files, "known_as", name)
    digest = hashlib.sha256((hub.folder / "model.safetensors").read_bytes()).hexdigest()
    assert told(model_config, name) == (
        f"model.safetensors of {name} must have the SHA-256 9c6061af1f450bb0…, got {digest[:16]}… "
        f"({hub.folder / 'model.safetensors'}): it is damaged, or no longer the file that is "
        "known. Remove it and try again, or name a folder that holds weights you trust."
    )
    ours = {name.lower(): {"model.safetensors": digest}}
    monkeypatch.setattr(known_weights, "KNOWN_ON_HUB", ours)
    found, texts = warned(model_config, name)
    assert texts == []
    assert found


def test_a_hub_repository_without_weights_is_refused(hub: Files, model_config: ModelConfig) -> None:
    write(hub.folder, model_config)
    (hub.folder / "model.safetensors").unlink()
    assert told(model_config, HUB_ID) == (
        f"The hub repository {HUB_ID} holds no config.json with model.safetensors or "
        "pytorch_model.bin. Name that of a ResNet for transformers."
    )
    assert hub.asked == []


def test_what_a_hub_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, hub: Files, model_config: ModelConfig
) -> None:
    class Unknown(hub_folder.RepositoryNotFoundError):
        def __init__(self) -> None:
            Exception.__init__(self, "404")

    def info(*_: Any, **__: Any) -> Any:
        raise Unknown

    monkeypatch.setattr(hub, "model_info", info)
    assert told(model_config, HUB_ID) == (
        f"There is neither a folder {HUB_ID} here nor a hub repository of that name that is open "
        "to you. Check model.backbone_weights."
    )


def test_what_is_in_the_cache_is_taken_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig
) -> None:
    place = tmp_path / "models--somebody--resnet-8"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("c0ffee", encoding="utf-8")
    expected = write(place / "snapshots" / "c0ffee", model_config)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_folder, "HfApi", never)
    monkeypatch.setattr(hub_folder, "hf_hub_download", never)
    found, texts = warned(model_config, HUB_ID)
    assert texts == []
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_folder_of_the_name_comes_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, no_hub: None
) -> None:
    write(tmp_path / HUB_ID, model_config)
    monkeypatch.chdir(tmp_path)
    found, texts = warned(model_config, HUB_ID)
    assert found
    assert texts == []
