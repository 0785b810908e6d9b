"""The node says what a MogileFS 2.73 said: recorded conversations, each with a fresh node."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from mogilefs.node import Node
from tests.support.recorded import Conversation, load, surroundings, topics


def _node(directory: Path, ip: str, devices: list[int]) -> Node:
    return Node(
        directory,
        devices=devices,
        tracker="127.0.0.1:0",
        storage=f"{ip}:0",
        sidechannel=f"{ip}:0",
        durability="relaxed",
        hostname="h1",
    )


@pytest.mark.parametrize("topic", topics())
def test_a_recorded_conversation_goes_the_same_way(topic: str, tmp_path: Path) -> None:
    recorded = load(topic)
    with ExitStack() as nodes:
        node = nodes.enter_context(_node(tmp_path / "1", "127.0.0.1", [1, 2, 3]).in_thread())
        others = []
        if recorded["hosts"] == 2:
            other = _node(tmp_path / "2", "127.0.0.2", [4])
            others.append(nodes.enter_context(other.in_thread()))
        conversation = Conversation(node.tracker, surroundings(node, *others))
        nodes.callback(conversation.close)
        conversation.prepare(topic, recorded["domains"])
        conversation.hold(recorded["steps"])
