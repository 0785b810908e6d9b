"""A cluster's administration: the operations behind ``client.admin``."""

from __future__ import annotations

from . import cluster
from .cluster import (
    Device,
    Domain,
    FsckEntry,
    FsckStatus,
    Host,
    Job,
    MogileClass,
    RebalancePlan,
    RebalanceStatus,
    TrackerStats,
)
from .config import Address, parse_address
from .errors import ClassNotFound, DomainNotFound, TrackersUnavailable
from .models import FileInfo, integer, named
from .operations import Operations
from .packets import Command
from .steps import Op


class AdminOperations:
    """The operations behind ``client.admin``."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._command = operations.command

    # Domains and classes

    def domains(self) -> Op[list[Domain]]:
        """All domains with their classes."""
        values = yield from self._command("get_domains")
        return cluster.domains_from(values)

    def create_domain(self, name: str) -> Op[None]:
        """Make a domain. Raises AlreadyExists."""
        yield from self._command("create_domain", domain=name)

    def delete_domain(self, name: str) -> Op[None]:
        """Delete an empty domain. Raises DomainNotFound, NotEmpty."""
        yield from self._command("delete_domain", domain=name)

    def classes(self, domain: str) -> Op[list[MogileClass]]:
        """The domain's classes, ``default`` among them. Raises DomainNotFound."""
        for found in (yield from self.domains()):
            if found.name == domain:
                return list(found.classes)
        raise DomainNotFound("domain_not_found", f"no domain {domain!r}", "get_domains")

    def create_class(
        self,
        domain: str,
        name: str,
        mindevcount: int = 2,
        replpolicy: str | None = None,
        hashtype: str | None = None,
    ) -> Op[None]:
        """Make a class; ``mindevcount`` is 1 or more. Raises AlreadyExists, DomainNotFound."""
        yield from self._set_class("create_class", domain, name, mindevcount, replpolicy, hashtype)

    def update_class(
        self,
        domain: str,
        name: str,
        mindevcount: int | None = None,
        replpolicy: str | None = None,
        hashtype: str | None = None,
    ) -> Op[None]:
        """Change what is given; ``hashtype="NONE"`` ends checksums. Raises ClassNotFound."""
        if mindevcount is None:
            mindevcount = (yield from self._class(domain, name)).mindevcount
        yield from self._set_class("update_class", domain, name, mindevcount, replpolicy, hashtype)

    def _set_class(
        self,
        command: str,
        domain: str,
        name: str,
        mindevcount: int,
        replpolicy: str | None,
        hashtype: str | None,
    ) -> Op[None]:
        yield from self._command(
            command,
            domain=domain,
            mindevcount=mindevcount,
            replpolicy=replpolicy,
            hashtype=hashtype,
            **{"class": name},
        )

    def _class(self, domain: str, name: str) -> Op[MogileClass]:
        for found in (yield from self.classes(domain)):
            if found.name == name:
                return found
        raise ClassNotFound("class_not_found", f"no class {name!r} in {domain!r}", "get_domains")

    def delete_class(self, domain: str, name: str) -> Op[None]:
        """Delete a class without files. Raises ClassNotFound, NotEmpty."""
        yield from self._command("delete_class", domain=domain, **{"class": name})

    # Hosts and devices

    def hosts(self) -> Op[list[Host]]:
        """All storage nodes."""
        values = yield from self._command("get_hosts")
        return [cluster.host_from(row) for row in cluster.rows(values, "hosts", "host{}_")]

    def create_host(
        self,
        name: str,
        ip: str,
        port: int = 7500,
        *,
        status: str | None = None,
        get_port: int | None = None,
        altip: str | None = None,
        altmask: str | None = None,
    ) -> Op[int]:
        """Make a storage node known; its hostid. It is ``down`` unless told otherwise.

        Raises AlreadyExists.
        """
        values = yield from self._command(
            "create_host",
            host=name,
            ip=ip,
            port=port,
            status=status,
            getport=get_port,
            altip=altip,
            altmask=altmask,
        )
        return integer(values, "hostid", 0)

    def update_host(
        self,
        name: str,
        *,
        ip: str | None = None,
        port: int | None = None,
        status: str | None = None,
        get_port: int | None = None,
        altip: str | None = None,
        altmask: str | None = None,
    ) -> Op[None]:
        """Change what is given. Raises TrackerError (``host_not_found``)."""
        yield from self._command(
            "update_host",
            host=name,
            ip=ip,
            port=port,
            status=status,
            getport=get_port,
            altip=altip,
            altmask=altmask,
        )

    def delete_host(self, name: str) -> Op[None]:
        """Forget a storage node without devices. Raises NotEmpty."""
        yield from self._command("delete_host", host=name)

    def devices(self) -> Op[list[Device]]:
        """All devices of all hosts."""
        values = yield from self._command("get_devices")
        return [cluster.device_from(row) for row in cluster.rows(values, "devices", "dev{}_")]

    def create_device(self, host: str, devid: int, state: str | None = None) -> Op[None]:
        """Make a device of a host known. Raises AlreadyExists."""
        yield from self._command("create_device", hostname=host, devid=devid, state=state)

    def set_device_state(self, host: str, devid: int, state: str) -> Op[None]:
        """Set a device alive, readonly, drain, down or dead. Dead files are copied anew."""
        yield from self._command("set_state", host=host, device=devid, state=state)

    def set_device_weight(self, host: str, devid: int, weight: int) -> Op[None]:
        """Set how readily a device gets new files: 0 or more, 100 is usual."""
        yield from self._command("set_weight", host=host, device=devid, weight=weight)

    # Trackers and their settings

    def settings(self) -> Op[dict[str, str]]:
        """All settings that were ever set."""
        values = yield from self._command("server_settings")
        return cluster.settings_from(values)

    def setting(self, name: str) -> Op[str | None]:
        """One setting, None where it was never set."""
        values = yield from self._command("server_setting", key=name)
        return values.get("value") or None

    def set_setting(self, name: str, value: object) -> Op[None]:
        """Set a setting. Raises TrackerError (``not_writable``, ``invalid_format``)."""
        yield from self._command("set_server_setting", key=name, value=value)

    def stats(self, tracker: str | None = None) -> Op[TrackerStats]:
        """The counters of one tracker (``host:port``), of the first that answers by default."""
        address, lines = yield from self._text("!stats", tracker)
        return cluster.stats_from(str(address), lines)

    def jobs(self, tracker: str | None = None) -> Op[list[Job]]:
        """The workers of one tracker."""
        _, lines = yield from self._text("!jobs", tracker)
        return cluster.jobs_from(lines)

    def version(self, tracker: str | None = None) -> Op[str]:
        """One tracker's version."""
        _, lines = yield from self._text("!version", tracker)
        return lines[0] if lines else ""

    def check(self) -> Op[dict[str, str | None]]:
        """Ask every tracker that is configured: None where it answers, else why it does not."""
        found: dict[str, str | None] = {}
        for address in self._operations.trackers.addresses:
            try:
                yield from self._text("!version", str(address))
                found[str(address)] = None
            except TrackersUnavailable as error:
                found[str(address)] = error.reasons[str(address)]
        return found

    def _text(self, command: str, tracker: str | None) -> Op[tuple[Address, list[str]]]:
        trackers = self._operations.trackers
        wanted = [parse_address(tracker)] if tracker else trackers.health.order(trackers.addresses)
        reasons: dict[str, str] = {}
        for address in wanted:
            try:
                return address, (yield from trackers.text(command, address))
            except TrackersUnavailable as error:
                reasons |= error.reasons
        raise TrackersUnavailable(reasons)

    def replicate_now(self) -> Op[int]:
        """Try all postponed replications now; how many there are."""
        return integer((yield from self._command("replicate_now")), "count", 0)

    def clear_cache(self) -> Op[None]:
        """Let the tracker read domains, classes, hosts and devices anew."""
        yield from self._command("clear_cache")

    def fids(self, after: int = 0, count: int = 100) -> Op[list[FileInfo]]:
        """Files of all domains by fid, those above ``after``; at most ``count`` (500)."""
        values = yield from self._command("list_fids", **{"from": after, "to": count})
        rows = cluster.rows(values, "fid_count", "fid_{}_")
        return [FileInfo.from_values(named(row, "key"), named(row, "domain"), row) for row in rows]

    def debug_fid(self, fid: int) -> Op[dict[str, str]]:
        """All that the tracker knows about a fid, as it says it."""
        return (yield from self._command("file_debug", fid=fid))

    # fsck

    def fsck_start(self) -> Op[None]:
        """Start or go on checking all files. Raises TrackerError (``fsck_running``)."""
        yield from self._command("fsck_start")

    def fsck_stop(self) -> Op[None]:
        """Stop checking; ``fsck_start`` goes on from there."""
        yield from self._command("fsck_stop")

    def fsck_reset(self, after_fid: int = 0, *, policy_only: bool = False) -> Op[None]:
        """Let the next start begin after ``after_fid``; ``policy_only`` looks at no bytes."""
        yield from self._command("fsck_reset", startpos=after_fid, policy_only=int(policy_only))

    def fsck_status(self) -> Op[FsckStatus]:
        """How far the check is, and what it found."""
        return cluster.fsck_status_from((yield from self._command("fsck_status")))

    def fsck_log(self, after: int = 0) -> Op[list[FsckEntry]]:
        """The next findings after the one numbered ``after``; none at the end of the log."""
        values = yield from self._command("fsck_getlog", after_logid=after)
        return [
            cluster.fsck_entry_from(row) for row in cluster.rows(values, "row_count", "row_{}_")
        ]

    def fsck_clear_log(self) -> Op[None]:
        """Forget all findings."""
        yield from self._command("fsck_clearlog")

    # Rebalance

    def rebalance_policy(self) -> Op[str]:
        """The policy that is set, in MogileFS's notation; empty where there is none."""
        return (yield from self.setting("rebal_policy")) or ""

    def set_rebalance_policy(self, policy: str) -> Op[None]:
        """Set the policy, such as ``from_devices=1,2 to_devices=3``. Raises TrackerError."""
        yield from self._command("rebalance_set_policy", policy=policy)

    def rebalance_test(self) -> Op[RebalancePlan]:
        """What the policy would do."""
        values = yield from self._command("rebalance_test")
        return cluster.rebalance_plan_from(values)

    def rebalance_start(self) -> Op[RebalanceStatus]:
        """Start or go on moving files. Raises TrackerError (``no_rebal_policy`` …)."""
        return cluster.rebalance_status_from((yield from self._command("rebalance_start")))

    def rebalance_stop(self) -> Op[None]:
        """Stop moving files; ``rebalance_start`` goes on. Raises TrackerError."""
        yield from self._command("rebalance_stop")

    def rebalance_reset(self) -> Op[None]:
        """Forget how far the last run came."""
        yield from self._command("rebalance_reset")

    def rebalance_status(self) -> Op[RebalanceStatus | None]:
        """How far the run is; None where none was started."""
        answers = yield from self._operations.ask(Command("rebalance_status"))
        if answers[0].code == "no_rebal_state":
            return None
        return cluster.rebalance_status_from(answers[0].values())
