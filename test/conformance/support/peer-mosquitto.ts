import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type Running, runningMosquitto, scratch } from '../../support/process.js';
import type { Peer, PeerOptions } from './peer.js';

/** Debian's mosquitto as a reference: what it does differently is worth a second look at the test. */
export class MosquittoPeer implements Peer {
  readonly webSocketPort = undefined;
  readonly keepsSessions = true;
  port = 0;
  readonly #options: PeerOptions;
  readonly #scratch = scratch();
  #running: Running | undefined;

  constructor(options: PeerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.port ||= await freePort();
    const { maxPacketSize, maxInflight, maxKeepAliveSeconds, guarded, maximumQos, retainAvailable } =
      this.#options;
    this.#running = await runningMosquitto(this.#scratch.folder, this.port, [
      ...(maxPacketSize === undefined ? [] : [`max_packet_size ${maxPacketSize}`]),
      ...(maxInflight === undefined ? [] : [`max_inflight_messages ${maxInflight}`]),
      ...(guarded === true ? this.#guard() : []),
      ...(maximumQos === undefined ? [] : [`max_qos ${maximumQos}`]),
      ...(retainAvailable === false ? ['retain_available false'] : []),
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

  #guard(): string[] {
    const { folder } = this.#scratch;
    const [acl, passwords] = [join(folder, 'acl'), join(folder, 'passwd')];
    writeFileSync(acl, 'topic readwrite #\ntopic deny forbidden/#\n');
    writeFileSync(passwords, '');
    return [`acl_file ${acl}`, `password_file ${passwords}`];
  }
}
