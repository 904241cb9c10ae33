/** What `godwit demo` runs on: devices of several kinds, one of them bad, and no hardware. */
export const DEMO_CONFIG = `# godwit demo: simulated devices behind a real gateway.
gateway:
  id: demo

journal:
  path: data/journal.db

broker:
  listeners:
    - url: mqtt://127.0.0.1:1883

buses:
  simulated: { driver: simulator }

devices:
  meter: # an energy meter
    bus: simulated
    poll: 1s
    points:
      voltage: { simulate: { wave: walk, min: 226, max: 236, noise: 0.4, decimals: 1 }, unit: V }
      current: { simulate: { wave: sine, min: 0.4, max: 9.6, period: 90s, noise: 0.2 }, unit: A }
      power: { simulate: { wave: sine, min: 92, max: 2208, period: 90s, noise: 30, decimals: 0 }, unit: W }
      energy: { simulate: { wave: ramp, min: 10482, max: 10494, period: 12h, decimals: 3 }, unit: kWh }
  tank: # a tank with an alarm
    bus: simulated
    poll: 1s
    points:
      level: { simulate: { wave: sine, min: 18, max: 96, period: 2m, noise: 0.3, decimals: 1 }, unit: "%" }
      pressure: { simulate: { wave: sine, min: 0.18, max: 0.96, period: 2m, noise: 0.004, decimals: 3 }, unit: bar }
      high: { simulate: { wave: sine, type: boolean, min: 0, max: 1, period: 2m } }
  door: # a contact: true while it is open
    bus: simulated
    poll: 500ms
    points:
      open: { simulate: { wave: square, type: boolean, min: 0, max: 1, period: 20s } }
  cellar: # a noisy sensor that drops out now and then
    bus: simulated
    poll: 2s
    points:
      temperature: { simulate: { wave: walk, min: 11, max: 15, noise: 0.6, decimals: 2, dropout: 0.25 }, unit: °C }

mappings:
  - from: "meter/*" # one message per poll, all points together
    topic: "demo/{device}"
    group: device
  - from: "tank/*" # only what changes, and the rest once a minute
    topic: "demo/{device}/{point}"
    retain: true
    report: { on: change, deadband: 0.5, every: 1m }
  - from: "door/open"
    topic: "demo/{device}/{point}"
    retain: true
    report: { on: change, every: 1m }
  - from: "cellar/*"
    topic: "demo/{device}/{point}"
    retain: true
`;
