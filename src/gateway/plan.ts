/**
 * What a new configuration changes, as data. A part runs on if the text of everything it was built from is the
 * same; the journal, the broker's listeners and the gateway's own name cannot change under a running process.
 */
import type { Config } from '../config/schema.js';

export interface ChangePlan {
  readonly stopBuses: readonly string[];
  readonly startBuses: readonly string[];
  readonly stopBridges: readonly string[];
  readonly startBridges: readonly string[];
  readonly forgetDevices: readonly string[];
  readonly remap: boolean;
  /** Sections that changed but take effect only after a restart. */
  readonly needsRestart: readonly string[];
}

/**
 * @param freshFiles names of bridges whose certificate or password files have other contents than before
 */
export function planChange(before: Config, after: Config, freshFiles: ReadonlySet<string>): ChangePlan {
  const buses = changed(Object.keys(before.buses), Object.keys(after.buses), (bus) =>
    same(busInputs(before, bus), busInputs(after, bus)),
  );
  const bridges = changed(
    Object.keys(before.bridges),
    Object.keys(after.bridges),
    (bridge) => same(before.bridges[bridge], after.bridges[bridge]) && !freshFiles.has(bridge),
  );
  return {
    stopBuses: buses.stop,
    startBuses: buses.start,
    stopBridges: bridges.stop,
    startBridges: bridges.start,
    forgetDevices: Object.keys(before.devices).filter((device) => !(device in after.devices)),
    remap:
      !same(before.mappings, after.mappings) ||
      !same(before.devices, after.devices) ||
      !same(before.derived, after.derived) ||
      !same(before.alarms, after.alarms) ||
      !same(before.gateway.tags, after.gateway.tags),
    needsRestart: (['gateway', 'journal', 'broker', 'http', 'log'] as const).filter((section) =>
      section === 'gateway'
        ? before.gateway.id !== after.gateway.id || before.gateway.status_topic !== after.gateway.status_topic
        : !same(lasting(before, section), lasting(after, section)),
    ),
  };
}

/**
 * Whether clients need no name after a reload. The default of a configuration whose listeners differ was decided for
 * addresses that are not listened on yet: it may close the door at once, and open it only after the restart.
 */
export function anonymousUntilRestart(started: Config['broker'], after: Config['broker']): boolean {
  const allowed = after.allow_anonymous === true;
  return allowed && (started.allow_anonymous === true || same(started.listeners, after.listeners));
}

/** What of a section holds until a restart: who may use the broker is taken over at once. */
function lasting(config: Config, section: 'journal' | 'broker' | 'http' | 'log'): unknown {
  if (section !== 'broker') return config[section];
  const {
    allow_anonymous: _anonymous,
    password_file: _users,
    scram_file: _scram,
    acl_file: _acl,
    ...rest
  } = config.broker;
  return rest;
}

/** All that a driver was built from: its bus and the devices on it. */
function busInputs(config: Config, bus: string): unknown {
  return [config.buses[bus], Object.entries(config.devices).filter(([, device]) => device.bus === bus)];
}

function changed(
  before: readonly string[],
  after: readonly string[],
  unchanged: (name: string) => boolean,
): { readonly stop: readonly string[]; readonly start: readonly string[] } {
  const keep = new Set(before.filter((name) => after.includes(name) && unchanged(name)));
  return { stop: before.filter((name) => !keep.has(name)), start: after.filter((name) => !keep.has(name)) };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
