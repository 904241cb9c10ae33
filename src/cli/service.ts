/** `godwit service DEVICE in|out`: a device that is being worked on is not asked, and nobody is alarmed by its silence. */
import { ExitCode } from './exit-code.js';
import { Field } from './field.js';

export async function service(file: string, device: string, inService: boolean): Promise<ExitCode> {
  await new Field(file).setInService(device, inService);
  const back = `nothing asks it until godwit service ${device} in`;
  process.stdout.write(`${device} is ${inService ? 'in service' : `out of service: ${back}`}\n`);
  return ExitCode.done;
}
