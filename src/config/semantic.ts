/**
 * What the schema cannot say, because it depends on a second value: names that refer to each other, templates
 * with the values they can take, ports, files. Works on the tree, not on the finished configuration, so that one
 * part's mistakes do not hide another's.
 */
import { checkBridges } from './check-bridges.js';
import { checkBroker } from './check-broker.js';
import { checkCommands } from './check-commands.js';
import { checkDerived } from './check-derived.js';
import { checkDevices } from './check-devices.js';
import { checkJournal } from './check-journal.js';
import { checkMappings } from './check-mappings.js';
import type { Report } from './report.js';

export function checkSemantics(report: Report): void {
  checkBroker(report);
  checkJournal(report);
  checkDevices(report);
  checkDerived(report);
  checkMappings(report);
  checkCommands(report);
  checkBridges(report);
}
