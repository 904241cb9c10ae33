/** The JSON Schema of the configuration file for editors: `godwit schema`, and `config/godwit.schema.json`. */

import { configSchema } from './schema.js';
import { z } from './zod.js';

export function jsonSchema(): object {
  // draft-7 is what the YAML language server understands best.
  const { $schema, ...rest } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return {
    $schema,
    $id: 'godwit.schema.json',
    title: 'Configuration of godwit',
    ...(titled(rest) as object),
  };
}

/** Every property with its own name as its title, which editors show above the description. */
function titled(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(titled);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'properties' ? withTitles(value) : titled(value),
    ]),
  );
}

function withTitles(properties: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(properties).map(([key, value]) => [key, { title: key, ...(titled(value) as object) }]),
  );
}
