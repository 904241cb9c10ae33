/**
 * The section `broker` of the configuration, given by a program instead of a file: the same keys, the same rules, the
 * same sentences where something is wrong.
 */
import { GodwitError } from '../core/error.js';
import { type AccessFiles, readAccessFiles } from './access-files.js';
import { readConfig } from './parse.js';
import type { BrokerConfig, brokerSchema } from './schema.js';
import { type ListenerSecrets, readSecrets } from './secrets.js';
import type { z } from './zod.js';

/** As in the file: durations are texts such as `10s`, sizes texts such as `1MiB`. */
export type BrokerSection = z.input<typeof brokerSchema>;

export interface LoadedBroker {
  readonly config: BrokerConfig;
  readonly secrets: readonly (ListenerSecrets | undefined)[];
  readonly access: AccessFiles;
}

/** Reads the files it names, relative to `folder`. Throws a GodwitError `CONFIG` that tells all that is wrong. */
export function loadBrokerSection(section: BrokerSection, folder: string): LoadedBroker {
  // JSON is YAML; what looks like ${NAME} is meant as it stands.
  const text = JSON.stringify({ gateway: { id: 'library' }, broker: section }, (_key, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('${', '$${') : value,
  );
  const { config, errors, report } = readConfig(text, 'options', {});
  const files =
    report === undefined
      ? undefined
      : { secrets: readSecrets(report, folder).listeners, access: readAccessFiles(report, folder) };
  const all = [...new Set([...errors, ...(report?.errors ?? [])])];
  if (config === undefined || files === undefined || all.length > 0) {
    const lines = all.map(({ file, key, message, line }) =>
      file === 'options' ? `${key}: ${message}` : line,
    );
    throw new GodwitError('CONFIG', `The options of the broker are wrong: ${lines.join('; ')}`, {
      errors: all,
    });
  }
  return { config: config.broker, ...files };
}
