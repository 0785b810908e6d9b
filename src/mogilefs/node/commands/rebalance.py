"""Rebalance: its policy, starting, stopping and asking how far it is."""

from __future__ import annotations

from ...wire import Request
from ..jobs import fsckstate, rebalance, records
from ..jobs.rebalancepolicy import PolicyError, RebalancePolicy, RebalanceState, parse
from ..registry import setting
from .table import CommandError, Context, Values, command


def _policy(ctx: Context) -> RebalancePolicy:
    text = setting(ctx.catalog, rebalance.POLICY)
    if not text:
        raise CommandError("no_rebal_policy", "No rebalance policy is set")
    return _parse(text)


def _parse(text: str) -> RebalancePolicy:
    try:
        return parse(text)
    except PolicyError as error:
        raise CommandError("bad_rebal_pol", str(error)) from error


def _not_running(ctx: Context, code: str = "rebal_running") -> None:
    if rebalance.running(ctx.catalog):
        raise CommandError(code, "A rebalance is running: stop it first")


@command("rebalance_set_policy")
async def rebalance_set_policy(ctx: Context, request: Request) -> Values:
    """Set the policy, and forget how far a run by another came; an empty one takes it away."""
    _not_running(ctx, "no_set_rebal")
    text = request.args.get("policy", "").strip()
    _parse(text)
    await ctx.catalog.write(lambda db: rebalance.set_policy(db, text))
    return {}


@command("rebalance_test")
def rebalance_test(ctx: Context, request: Request) -> Values:
    """The devices that files would be moved from, and those they could go to."""
    policy = _policy(ctx)
    devices = ctx.registry.devices.values()
    return {
        "sdevs": ",".join(map(str, policy.sources(devices))),
        "ddevs": ",".join(map(str, policy.targets(devices))),
    }


@command("rebalance_start")
async def rebalance_start(ctx: Context, request: Request) -> Values:
    """Begin, or go on with a run that was stopped. Not beside an fsck."""
    _not_running(ctx)
    if fsckstate.running(ctx.catalog):
        raise CommandError("fsck_running", "fsck is running: stop it first")
    sources = _policy(ctx).sources(ctx.registry.devices.values())
    state = await ctx.catalog.write(lambda db: rebalance.start(db, ctx.node.hostname, sources))
    if state is None:
        raise CommandError("rebal_running", "A rebalance is running already")
    ctx.registry.reload()
    ctx.node.wake("rebalance")
    return {"state": str(state)}


@command("rebalance_stop")
async def rebalance_stop(ctx: Context, request: Request) -> Values:
    """Stop for now; the device in work takes files again."""
    if not await ctx.catalog.write(rebalance.stop):
        raise CommandError("rebal_not_started", "No rebalance is running")
    ctx.registry.reload()
    return {}


@command("rebalance_reset")
async def rebalance_reset(ctx: Context, request: Request) -> Values:
    """Forget how far the last run came."""
    _not_running(ctx)
    await ctx.catalog.write(lambda db: records.set_setting(db, rebalance.STATE, None))
    return {}


@command("rebalance_status")
def rebalance_status(ctx: Context, request: Request) -> Values:
    """How far the last run is."""
    state = setting(ctx.catalog, rebalance.STATE)
    if not state:
        raise CommandError("no_rebal_state", "There is no rebalance to tell of")
    return {"state": str(RebalanceState.parse(state))}
