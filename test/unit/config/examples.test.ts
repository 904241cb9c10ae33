import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DEMO_CONFIG } from '../../../src/config/demo.js';
import { describeConfig } from '../../../src/config/describe.js';
import { jsonSchema } from '../../../src/config/json-schema.js';
import { parseConfig } from '../../../src/config/parse.js';

const FOLDER = join(import.meta.dirname, '../../../config');

describe('what ships with godwit', () => {
  test.each(readdirSync(FOLDER).filter((name) => name.endsWith('.yaml')))(
    'config/%s is right and warns of nothing',
    (name) => {
      const text = readFileSync(join(FOLDER, name), 'utf8');
      expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./godwit.schema.json');
      const { config, errors } = parseConfig(text, name, { CLOUD_PASSWORD: 'x' });
      expect(errors.map((error) => error.line)).toEqual([]);
      expect(config && describeConfig(config).warnings).toEqual([]);
    },
  );

  test('the demo runs on devices of several kinds, one of which drops out', () => {
    const { config, errors } = parseConfig(DEMO_CONFIG, 'demo', {});
    expect(errors).toEqual([]);
    expect(Object.keys(config?.devices ?? {})).toEqual(['meter', 'tank', 'door', 'cellar']);
    expect(config && describeConfig(config).warnings).toEqual([]);
    expect(config?.devices.cellar?.points.temperature).toMatchObject({ simulate: { dropout: 0.25 } });
  });
});

describe('the JSON Schema', () => {
  test('in config/ is what `godwit schema` prints (else: godwit schema > config/godwit.schema.json)', () => {
    const stored = readFileSync(join(FOLDER, 'godwit.schema.json'), 'utf8');
    expect(stored).toBe(`${JSON.stringify(jsonSchema(), null, 2)}\n`);
  });

  test('describes every key', () => {
    const bare: string[] = [];
    const walk = (schema: unknown, path: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      for (const [key, value] of Object.entries(schema)) {
        if (key !== 'properties') {
          walk(value, path);
          continue;
        }
        for (const [name, property] of Object.entries(value as Record<string, object>)) {
          if (!('description' in property && 'title' in property)) bare.push(`${path}.${name}`);
          walk(property, `${path}.${name}`);
        }
      }
    };
    walk(jsonSchema(), '');
    expect(bare).toEqual([]);
  });

  test('says what an editor can check: patterns, choices, bounds, unknown keys', () => {
    const schema = JSON.stringify(jsonSchema());
    for (const part of [
      '"pattern":"^\\\\d+(\\\\.\\\\d+)?(ms|s|m|h|d)$"',
      '"modbus-rtu"',
      '"maximum":65535',
      '"additionalProperties":false',
    ]) {
      expect(schema).toContain(part);
    }
  });
});
