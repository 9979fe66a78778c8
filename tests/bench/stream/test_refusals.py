"""What does not go with a stream is refused in one sentence before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.stream.pipeline import StreamPipeline
from bench.tune.__main__ import prepared
from bench.tune.loop import TuneConfig
from datasets.errors import InputError
from tests.bench.cell.test_pipeline import planned
from tests.bench.stream.streams import QUICK, SPARING
from unlearning.base import PreparedState, Setting
from unlearning.unlearnrec import UnlearnRec

USERS = ("stream=users", "stream.count=3")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("method=scalegun",), "method=scalegun does not work in a stream: its head is fitted once"),
        (("method=cragru_no_llm",), "does not work in a stream: its lists belong to the users"),
        (("method=cragru",), "does not work in a stream: its lists belong to the users"),
        (("method=reset", "method.graph_at_evaluation=full"), "a stream does not: set it to retain"),
        (("method=reset", "regime=item"), "stream=users asks for whole users"),
        (("method=reset", "stream.count=500"), r"stream\.count=500 covers all 200"),
        (("method=reset", "stream.checkpoints=[2.0]"), r"stream\.checkpoints"),
        (("method=reset", "stream=spam"), "choose poison=backdoor or poison=spam"),
        (("method=reset", "stream=file", "stream.count=null"), r"needs stream\.file"),
        (("method=reset", "stream=none"), r"stream\.count=3 has no meaning with stream=none"),
    ],
)
def test_refusals(overrides: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        planned(tmp_path, "backbone=lightgcn", *USERS, *overrides)
    assert "\n" not in str(caught.value)


def test_a_log_with_an_unknown_user_is_refused_while_planning(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("request,date,userID\na,2026-01-01,3\nb,2026-01-02,900\n")
    with pytest.raises(InputError, match="line 3 has userID=900, which is out of range"):
        planned(tmp_path, "method=reset", "stream=file", f"stream.file={log}")


def test_a_log_is_served_and_its_content_is_part_of_the_key(tmp_path: Path) -> None:
    log, keys = tmp_path / "log.csv", set()
    for users in ((3, 7), (7, 3, 7)):
        lines = [f"r{place},2026-01-{place + 1:02},{user}" for place, user in enumerate(users)]
        log.write_text("\n".join(["request,date,userID", *lines]) + "\n")
        cell = planned(
            tmp_path, *QUICK, "method=graph_only", "backbone=bpr", "stream=file", f"stream.file={log}"
        )
        result = StreamPipeline(cell).run()
        assert [one.users for one in result.served] == [1, 1], "who asks twice has left already"
        keys.add(cell.keys.cell)
    assert len(keys) == 2


def test_a_tune_faces_one_request(tmp_path: Path) -> None:
    cell = planned(tmp_path, "method=finetune", "backbone=lightgcn", *USERS)
    with pytest.raises(InputError, match="choose stream=none"):
        prepared(cell.config, [], TuneConfig())


def test_unlearnrec_prepares_again_after_as_many_requests_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[int] = []
    prepare = UnlearnRec.prepare

    def noted(self: UnlearnRec, original: object, setting: Setting) -> PreparedState:
        pairs.append(setting.data.train.shape[1])
        return prepare(self, original, setting)  # type: ignore[arg-type]

    monkeypatch.setattr(UnlearnRec, "prepare", noted)
    own = ("method=unlearnrec", "backbone=lightgcn", "method.refresh_every=2", *SPARING["unlearnrec"])
    pipeline = StreamPipeline(planned(tmp_path, *QUICK, *own, "stream=users", "stream.count=4"))
    pipeline.run()
    stream = pipeline.setting.load_stream()
    whole = stream.read.train.shape[1]
    gone = sum(request.forget.shape[1] for request in stream.requests[:2])
    assert pairs == [whole, whole - gone], "before the first request, and before the third on what was left"
