import { Broker, type BrokerOptions } from '../../src/broker/broker.js';
import { brokerSchema } from '../../src/config/schema.js';
import { silentLog } from '../../src/core/log.js';
import { FakeClock } from './fake-clock.js';

type Limits = Parameters<typeof brokerSchema.parse>[0];

export interface RunningBroker {
  readonly broker: Broker;
  readonly clock: FakeClock;
  readonly url: string;
  stop(): Promise<void>;
}

/** A broker on a free port and a clock that moves only when told. */
export async function startBroker(
  limits: Limits = {},
  options: Partial<Omit<BrokerOptions, 'config' | 'clock'>> & {
    readonly allowAnonymous?: boolean;
    /** `mqtt://127.0.0.1:0` where absent. */
    readonly urls?: readonly string[];
    readonly origins?: string[];
  } = {},
): Promise<RunningBroker> {
  const clock = new FakeClock({ monotonicMs: 1000 });
  const { allowAnonymous, urls = ['mqtt://127.0.0.1:0'], origins, ...rest } = options;
  const config = brokerSchema.parse({
    listeners: urls.map((url) => (origins === undefined ? { url } : { url, origins })),
    limits,
    ...(allowAnonymous === undefined ? {} : { allow_anonymous: allowAnonymous }),
  });
  const broker = new Broker({ config, clock, log: silentLog, ...rest });
  await broker.start();
  return { broker, clock, url: broker.urls[0]!, stop: () => broker.stop() };
}

/** Until something is so: for what happens in another process or on a socket that answers nothing. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
