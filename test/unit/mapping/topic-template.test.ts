import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GodwitError } from '../../../src/core/error.js';
import { renderTopic } from '../../../src/mapping/topic-template.js';

const names = {
  gateway: 'well-17',
  device: 'tank',
  point: 'level',
  unit: '%',
  tags: { site: 'north', area: 'a/b' },
};

describe('a topic template', () => {
  test.each([
    ['site/{tags.site}/{device}/{point}', 'site/north/tank/level'],
    ['{gateway}/{device}', 'well-17/tank'],
    ['{tags.area}/{unit}', 'a/b/%'],
    ['plain', 'plain'],
    ['{device}{point}', 'tanklevel'],
  ])('%s gives %s', (template, topic) => {
    expect(renderTopic(template, names)).toBe(topic);
  });

  test.each([
    ['°C', '°C'],
    ['m³/h', 'm³_h'],
    ['+', '_'],
    ['#', '_'],
    ['a\0b', 'a_b'],
    ['', '_'],
    [undefined, '_'],
    ['\ud800', '_'],
  ])('makes one level of the unit %j', (unit, level) => {
    expect(renderTopic('x/{unit}', { ...names, unit })).toBe(`x/${level}`);
  });

  test.each(['{tags.missing}', '{unknown}', '{}', 'a/+/b', '#', '', 'a\0', '{tags.toString}'])(
    'that is no topic is refused with its own text: %j',
    (template) => {
      expect(() => renderTopic(template, names)).toThrow(GodwitError);
      expect(() => renderTopic(template, names)).toThrow(`Topic template ${template}`);
    },
  );

  test('whose tag brings a wildcard is refused', () => {
    expect(() => renderTopic('{tags.site}/x', { ...names, tags: { site: 'a+' } })).toThrow(
      '"a+/x", which is no topic',
    );
  });

  test('longer than MQTT can say is refused', () => {
    expect(() => renderTopic('é'.repeat(32_768), names)).toThrow('65,535 bytes');
    expect(renderTopic('e'.repeat(65_535), names)).toHaveLength(65_535);
  });

  test('never gives an invalid topic, whatever the unit and the tag', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (unit, site) => {
        let topic: string;
        try {
          topic = renderTopic('{unit}/{tags.site}', { ...names, unit, tags: { site } });
        } catch (fault) {
          expect(fault).toBeInstanceOf(GodwitError);
          return;
        }
        expect(topic).not.toMatch(/[+#\0]/);
        expect(Buffer.from(topic).toString()).toBe(topic);
        expect(topic.split('/').length).toBe(site.split('/').length + 1);
      }),
    );
  });
});
