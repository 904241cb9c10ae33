import { rmSync } from 'node:fs';
import { freePort, type Running, runningMosquitto, scratch } from '../../support/process.js';
import type { Limits, Peer } from './peer.js';

/** Debian's mosquitto as a reference: what it does differently is worth a second look at the test. */
export class MosquittoPeer implements Peer {
  readonly webSocketPort = undefined;
  readonly keepsSessions = true;
  port = 0;
  readonly #limits: Limits;
  readonly #scratch = scratch();
  #running: Running | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    const { maxPacketSize, maxInflight, maxKeepAliveSeconds } = this.#limits;
    this.#running = await runningMosquitto(this.#scratch.folder, this.port, [
      ...(maxPacketSize === undefined ? [] : [`max_packet_size ${maxPacketSize}`]),
      ...(maxInflight === undefined ? [] : [`max_inflight_messages ${maxInflight}`]),
      ...(maxKeepAliveSeconds === undefined ? [] : [`max_keepalive ${maxKeepAliveSeconds}`]),
    ]);
  }

  async restart(): Promise<void> {
    await this.#running?.kill('SIGTERM');
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#running?.kill('SIGKILL');
    rmSync(this.#scratch.folder, { recursive: true, force: true });
  }
}
