/** The JSON Schema of the configuration file for editors: `godwit schema`, and `config/godwit.schema.json`. */
import { z } from 'zod';
import { configSchema } from './schema.js';

export function jsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    // What the YAML language server understands best.
    target: 'draft-7',
    override: ({ jsonSchema: part, path }) => {
      const key = path.at(-2) === 'properties' ? path.at(-1) : undefined;
      if (typeof key === 'string') part.title = key;
    },
  });
  const { $schema, ...rest } = schema;
  return { $schema, $id: 'godwit.schema.json', title: 'Configuration of godwit', ...rest };
}
