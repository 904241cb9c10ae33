/**
 * What clients need in the cases with a password, an ACL of 100 lines and TLS, in the formats that godwit and mosquitto
 * share: a password file, an ACL file, a certificate for localhost.
 */
import { execFileSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const USERNAME = 'bench';
const PASSWORD = 'correct-horse';
const ITERATIONS = 101;

export function makeAccess(folder) {
  const file = (name) => join(folder, name);
  const salt = randomBytes(12);
  const hash = pbkdf2Sync(PASSWORD, salt, ITERATIONS, 64, 'sha512');
  writeFileSync(
    file('passwd'),
    `${USERNAME}:$7$${ITERATIONS}$${salt.toString('base64')}$${hash.toString('base64')}\n`,
    { mode: 0o600 },
  );
  writeFileSync(file('acl'), aclLines().join('\n'), { mode: 0o600 });
  // Its own CA: what it signs is itself.
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', file('server.key'), '-out', file('server.crt')],
    ],
    { stdio: 'ignore' },
  );
  return {
    username: USERNAME,
    password: PASSWORD,
    passwordFile: file('passwd'),
    aclFile: file('acl'),
    caFile: file('server.crt'),
    certFile: file('server.crt'),
    keyFile: file('server.key'),
  };
}

/** 100 lines: those that allow come last, so that all of them have to be looked at. */
function aclLines() {
  const lines = [`user ${USERNAME}`];
  for (let line = 0; line < 64; line += 1) lines.push(`topic readwrite plant/area${line}/+/temp`);
  for (let line = 0; line < 33; line += 1) lines.push(`pattern readwrite clients/%c/${line}/#`);
  lines.push('topic read load/#', 'topic write load/#');
  return lines;
}
