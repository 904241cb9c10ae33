/** Ctrl-C, or a reader that has had enough (`godwit trace bus | head`), ends a command that goes on by itself. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  process.stdout.on('error', end);
  return controller.signal;
}
