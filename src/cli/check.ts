/** `godwit check`: the configuration as the gateway would read it, or all that is wrong with it. */
import { describeConfig, renderReport } from '../config/describe.js';
import { loadConfig } from '../config/load.js';
import { ExitCode } from './exit-code.js';

export function check(file: string, json: boolean): ExitCode {
  const loaded = loadConfig(file, process.env);
  const report = describeConfig(loaded.config);
  process.stdout.write(
    json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, process.stdout.isTTY === true),
  );
  return ExitCode.done;
}
