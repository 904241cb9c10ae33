/** What a script or systemd sees. systemd does not restart on `configuration`. */
export const ExitCode = { done: 0, failed: 1, usage: 2, configuration: 78 } as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
