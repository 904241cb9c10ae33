/** `godwit profiles`: the device profiles that ship with godwit, or what one of them says. */
import { type Profile, readProfile } from '../config/profile.js';
import { profileFiles } from '../config/profile-files.js';
import { GodwitError } from '../core/error.js';
import { ExitCode } from './exit-code.js';

export function profiles(name: string | undefined, json: boolean): ExitCode {
  const source = profileFiles(process.cwd());
  if (name === undefined) {
    const all = source.names.map((one) => ({ name: one, ...shown(read(source, one).profile) }));
    process.stdout.write(
      json
        ? `${JSON.stringify(all, null, 2)}\n`
        : all
            .map(
              (one) =>
                `${one.name.padEnd(20)} ${String(one.points.length).padStart(3)} points  ${one.title}\n`,
            )
            .join(''),
    );
    return ExitCode.done;
  }
  const { text, profile } = read(source, name);
  process.stdout.write(json ? `${JSON.stringify({ name, ...profile }, null, 2)}\n` : text);
  return ExitCode.done;
}

function read(source: ReturnType<typeof profileFiles>, name: string): { text: string; profile: Profile } {
  const found = source.read(name);
  if (found.kind === 'problem') {
    throw new GodwitError(
      'NO_PROFILE',
      `${name}: ${found.problem}; godwit profiles lists those that ship with godwit`,
    );
  }
  const { profile, errors } = readProfile(found.text, found.file);
  if (profile === undefined) throw new GodwitError('CONFIG', `${name} is no profile`, { errors });
  return { text: found.text, profile };
}

function shown({ title, source, notes, drivers, points }: Profile) {
  return { title, source, ...(notes === undefined ? {} : { notes }), drivers, points: Object.keys(points) };
}
