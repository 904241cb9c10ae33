/** What of a bus's configuration makes its line: the stream, the framing, the times. */

import type { BusConfig } from '../../config/schema.js';
import { serialStream } from '../serial-stream.js';
import { tcpStream } from '../tcp-stream.js';
import { ASCII_FRAMING } from './ascii-frame.js';
import type { LineSettings } from './line.js';
import { RTU_FRAMING } from './rtu-frame.js';
import { SerialExchange } from './serial-exchange.js';
import { TcpExchange } from './tcp-frame.js';

export type ModbusBusConfig = Extract<BusConfig, { readonly driver: `modbus-${string}` }>;
export type SerialBusConfig = Extract<ModbusBusConfig, { readonly path: string }>;

/** On opening, whatever an earlier owner of the line had asked for is let pass; no longer, for a quick start. */
const SETTLE_MS_MAX = 500;

/** A new connection costs a TCP server nothing; opening a port anew keeps a serial bus waiting. */
const TCP_SILENCES_MAX = 3;
const SERIAL_SILENCES_MAX = 20;

export function isModbusBus(config: BusConfig): config is ModbusBusConfig {
  return config.driver.startsWith('modbus-');
}

export function lineSettings(config: ModbusBusConfig, random: () => number): LineSettings {
  const { timeout: timeoutMs, connect_delay: connectDelayMs } = config;
  switch (config.driver) {
    case 'modbus-tcp':
      return {
        open: tcpStream(config.host, config.port),
        exchange: (nowMs) =>
          new TcpExchange(
            { timeoutMs, gapMs: config.frame_gap ?? 0 },
            Math.floor(random() * 0x1_0000),
            nowMs,
          ),
        connectDelayMs,
        silencesMax: TCP_SILENCES_MAX,
      };
    case 'modbus-rtu-over-tcp':
      return {
        open: tcpStream(config.host, config.port),
        exchange: (nowMs) => {
          const times = {
            timeoutMs,
            gapMs: config.frame_gap ?? 0,
            characterMs: 0,
            turnaroundMs: config.turnaround,
          };
          return new SerialExchange(RTU_FRAMING, times, nowMs + Math.min(timeoutMs, SETTLE_MS_MAX));
        },
        connectDelayMs,
        // What is silent may be the line behind the device server; a new connection helps only that server.
        silencesMax: SERIAL_SILENCES_MAX,
      };
    case 'modbus-rtu':
    case 'modbus-ascii':
      return {
        open: serialStream({
          path: config.path,
          baudRate: config.baud_rate,
          parity: config.parity,
          dataBits: config.data_bits,
          stopBits: config.stop_bits,
          ...(config.rts !== undefined && {
            rts: { mode: config.rts, beforeMs: config.rts_before, afterMs: config.rts_after },
          }),
        }),
        exchange: (nowMs) => {
          const times = {
            timeoutMs,
            gapMs: config.frame_gap ?? frameGapMs(config),
            characterMs: msPerCharacter(config),
            turnaroundMs: config.turnaround,
          };
          const framing = config.driver === 'modbus-rtu' ? RTU_FRAMING : ASCII_FRAMING;
          return new SerialExchange(framing, times, nowMs + Math.min(timeoutMs, SETTLE_MS_MAX));
        },
        connectDelayMs,
        silencesMax: SERIAL_SILENCES_MAX,
      };
  }
}

/** 3.5 characters; above 19200 baud the specification fixes 1.75 ms. ASCII frames have marks and need no pause. */
export function frameGapMs(config: SerialBusConfig): number {
  if (config.driver === 'modbus-ascii') return 0;
  return config.baud_rate > 19_200 ? 1.75 : 3.5 * msPerCharacter(config);
}

/** A start bit, the data, parity where there is one, the stop bits. */
export function msPerCharacter(config: SerialBusConfig): number {
  const bits = 1 + config.data_bits + (config.parity === 'none' ? 0 : 1) + config.stop_bits;
  return (bits * 1000) / config.baud_rate;
}
