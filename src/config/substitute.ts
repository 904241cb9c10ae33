/**
 * `${NAME}` in a text is replaced from the environment; `$${` stands for `${` itself. What comes from the
 * environment is data: it is never read as YAML, nor replaced again.
 */
export interface Substituted {
  readonly text: string;
  /** Whether anything came from the environment: such a text may be a secret and is not shown. */
  readonly fromEnvironment: boolean;
  readonly problems: readonly string[];
}

const PLACE = /\$\$\{|\$\{([^}]*)\}?/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function substitute(
  template: string,
  environment: Readonly<Record<string, string | undefined>>,
): Substituted {
  const problems: string[] = [];
  let fromEnvironment = false;
  const text = template.replace(PLACE, (place: string, name: string | undefined) => {
    if (name === undefined) return '${';
    if (!place.endsWith('}') || !NAME.test(name)) {
      problems.push(
        `found ${place}, allowed: $\{NAME} with NAME of A-Z a-z 0-9 _; write $$\{ for a plain $\{`,
      );
      return place;
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) {
      problems.push(
        `found $\{${name}}, but the environment has no variable ${name}; set it, or write $$\{ for a plain $\{`,
      );
      return place;
    }
    fromEnvironment = true;
    return value;
  });
  return { text, fromEnvironment, problems };
}
