/** `godwit write DEVICE/POINT VALUE`: by the same door as commands, refused before the bus is touched, read back. */
import { GodwitError } from '../core/error.js';
import { ExitCode } from './exit-code.js';
import { Field } from './field.js';
import { splitPlace } from './read.js';

export async function write(file: string, place: string, value: string, json: boolean): Promise<ExitCode> {
  const [device = '', point] = splitPlace(place);
  if (point === undefined) {
    throw new GodwitError('FIELD', `${place} names no point: write DEVICE/POINT, as in tank/setpoint`);
  }
  const result = await new Field(file).write(device, point, value);
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (result.ok)
    process.stdout.write(
      `${place} is ${result.value}${result.verified === true ? '' : ' (not read back)'}\n`,
    );
  else process.stderr.write(`godwit: not written: ${result.error}\n`);
  return result.ok ? ExitCode.done : ExitCode.failed;
}
