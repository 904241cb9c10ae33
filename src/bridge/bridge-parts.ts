/** What a bridge consists of, wired together: from what is stored, what is configured, and what it is to be told. */
import { encodePayload } from '../mapping/payload.js';
import type { Packet } from '../mqtt/packet.js';
import { AcknowledgementWatch } from './acknowledgement-watch.js';
import { systemLookup } from './addresses.js';
import { batchEncoder } from './batch-encoder.js';
import { BatchTimer } from './batch-timer.js';
import type { BridgeOptions } from './bridge-options.js';
import { BridgeSession } from './bridge-session.js';
import { decodeState, newState, type SavedState } from './bridge-state.js';
import { runCommand } from './command.js';
import { Control } from './control.js';
import { Credentials } from './credentials.js';
import { dial } from './dial.js';
import { DownHook } from './down-hook.js';
import { Feeds } from './feeds.js';
import { renderGateway, routeFor, statusTopic } from './forward.js';
import { Incoming } from './incoming.js';
import { Link, type LinkEvents } from './link.js';
import { NewestSent } from './newest-sent.js';
import { OwnStatus } from './own-status.js';
import { Pacing } from './pacing.js';
import { QuotaPause } from './quota-pause.js';
import { Rate } from './rate.js';
import { Replay } from './replay.js';
import type { ReplayJobs } from './replay-job.js';
import { Saver } from './saver.js';
import { Settling } from './settling.js';
import { HIGH, LIVE, type StreamId } from './stream.js';
import { wayOf } from './way.js';

export interface BridgeParts {
  readonly clientId: string;
  readonly session: BridgeSession;
  readonly incoming: Incoming;
  readonly saver: Saver;
  readonly feeds: Feeds;
  readonly control: Control;
  readonly link: Link;
  readonly pacing: Pacing;
  readonly watch: AcknowledgementWatch;
  readonly quota: QuotaPause;
  readonly batchTimer: BatchTimer;
  readonly settling: Settling;
  readonly rate: Rate;
  readonly replay: Replay | undefined;
  readonly stopListening: () => void;
}

export interface BridgeEvents extends LinkEvents {
  /** Something may be sent or saved. */
  readonly wake: () => void;
  readonly journalFailed: (fault: unknown) => void;
  /** The server acknowledges too little. */
  readonly late: (sentence: string) => void;
}

export function buildParts(options: BridgeOptions, events: BridgeEvents): BridgeParts {
  const { clock, config, gateway, log, name, secrets, storage } = options;
  const { wake } = events;
  const state = savedState(options);
  const clientId = renderGateway(config.client_id, gateway.id);
  const status = new OwnStatus(gateway, statusTopic(config, gateway), Math.ceil(config.will_delay / 1000));
  const send = (packet: Packet): void => link.client?.send(packet);

  const uses = new Set<StreamId>();
  if (config.forward.some((rule) => rule.priority === 'high')) uses.add(HIGH);
  if (config.forward.some((rule) => rule.order === 'live-first')) uses.add(LIVE);
  const session = new BridgeSession(state, config.inflight, {
    usesHigh: uses.has(HIGH),
    historyShare: config.history_share,
    historyOrder: config.history,
    newestSent: new NewestSent(storage.keyValue(`bridge/${name}/newest`)),
    batchCodec: {
      encode: options.encode ?? encodePayload,
      encodeBatch: batchEncoder(() => ({ gateway: gateway.id, journalId: storage.journalId })),
    },
  });
  const incoming = new Incoming(state.received, { publish: options.publish, send, wake, clock });
  const saver = new Saver(
    storage,
    name,
    session,
    () => incoming.received,
    (progress) => replay?.saved(progress),
    clock,
    wake,
  );
  const replay = options.replays && replayOf(options, options.replays, session, wake);
  const feeds = new Feeds({
    ...{ storage, bridge: name, session, uses },
    arrived: wake,
    failed: events.journalFailed,
  });
  const control = new Control(
    name,
    config.receive.map(({ filter, qos }) => ({ topicFilter: renderGateway(filter, gateway.id), qos })),
    status,
    {
      takeIdentifier: () => session.takeControl(),
      freeIdentifier: (packetIdentifier) => session.freeControl(packetIdentifier),
      send,
      filters: storage.keyValue(`bridge/${name}/filters`),
      afterCommit: (then) => storage.afterCommit(then),
      underWay: (more) => session.control(more),
      hasRoom: () => session.hasRoomForControl,
      wake,
    },
    clock,
    log,
  );
  const settling = new Settling(clock);
  const link = new Link(
    {
      bridge: name,
      ...{ config, clientId, clock, log },
      way: wayOf(config, secrets.tls),
      lookup: options.lookup ?? systemLookup,
      network: options.network,
      addresses: storage.keyValue(`bridge/${name}/addresses`),
      credentials: credentialsOf(options),
      downHook: downHookOf(options),
      dial: options.dial ?? dial,
      random: options.random,
      will: (allowed) => status.will(allowed),
      knowsSession: (server) => session.hasSessionWith(server.url, clientId),
      connecting: (then) => {
        if (session.connecting(incoming.received.length > 0)) saver.now(then);
        else then();
      },
      refused: () => session.refused(),
      settle: (then) => {
        settling.begin(then);
        wake();
      },
    },
    events,
  );
  return {
    ...{ clientId, session, incoming, saver, feeds, control, link, settling, replay },
    pacing: new Pacing({ bridge: name, session, door: storage.keyValue(`bridge/${name}/window`), log }),
    watch: new AcknowledgementWatch({ session, limitMs: config.ack_timeout, clock, late: events.late }),
    quota: new QuotaPause(clock, () => {
      session.retry();
      feeds.start();
      replay?.restart();
      wake();
    }),
    batchTimer: new BatchTimer(clock, wake),
    rate: new Rate(storage.ledger(name).delivered, clock.monotonicMs()),
    stopListening: storage.onCommitted((head) => feeds.grown(head)),
  };
}

function credentialsOf({
  clock,
  config,
  folder,
  gateway,
  log,
  name,
  runCommand: run,
  secrets,
}: BridgeOptions): Credentials {
  return new Credentials({
    bridge: name,
    gatewayId: gateway.id,
    username: config.username,
    password: secrets.password,
    file: secrets.passwordFile,
    command: config.password_command,
    maxAgeMs: config.password_max_age ?? 0,
    folder: folder ?? process.cwd(),
    headers: config.headers ?? {},
    run: run ?? runCommand,
    ...{ clock, log },
  });
}

function downHookOf({
  clock,
  config,
  folder,
  gateway,
  log,
  name,
  runCommand: run,
}: BridgeOptions): DownHook | undefined {
  if (config.on_down === undefined) return undefined;
  return new DownHook({
    bridge: name,
    gatewayId: gateway.id,
    config: config.on_down,
    folder: folder ?? process.cwd(),
    run: run ?? runCommand,
    ...{ clock, log },
  });
}

function savedState({ log, name, storage }: BridgeOptions): SavedState {
  const saved = storage.bridge(name);
  if (saved === undefined) return newState;
  const state = decodeState(saved.bytes);
  if (state !== undefined) return state;
  log.error(
    { bridge: name },
    'Bridge state is unreadable; all that the journal still has for it is sent again',
  );
  return newState;
}

function replayOf(
  { clock, config, gateway, log, name, storage }: BridgeOptions,
  jobs: ReplayJobs,
  session: BridgeSession,
  wake: () => void,
): Replay {
  return new Replay({
    bridge: name,
    jobs,
    history: (range, from, bytesMax) => storage.history(range, from, bytesMax),
    routeFor: (topic) => routeFor(name, config, gateway, topic),
    isPending: ({ offset, routes }) =>
      routes.some((id) => {
        const route = storage.route(id);
        return route?.bridge === name && session.isPending(route.lane, offset);
      }),
    ...{ session, wake, clock, log },
  });
}
