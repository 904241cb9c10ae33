/** `godwit sub FILTER`: what is published on the gateway, as it is published, without a client and its password. */
import type { PlainMessage } from '../gateway/field-desk.js';
import { ExitCode } from './exit-code.js';
import { Field } from './field.js';
import { untilInterrupted } from './interrupted.js';

export async function sub(file: string, filter: string, json: boolean): Promise<ExitCode> {
  await new Field(file).watch(
    filter,
    (said) => {
      const message = said as PlainMessage | { readonly dropped: number };
      if (json) process.stdout.write(`${JSON.stringify(message)}\n`);
      else if ('dropped' in message)
        process.stdout.write(`… ${message.dropped} messages left out: this terminal is too slow\n`);
      else
        process.stdout.write(`${message.topic} ${message.payload ?? `(base64) ${message.payload_base64}`}\n`);
    },
    untilInterrupted(),
  );
  return ExitCode.done;
}
