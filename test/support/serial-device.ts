/** The device's end of a serial line, for tests: says and hears text through the tty. */
import { createReadStream, type ReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

export class SerialDevice {
  readonly #file: FileHandle;
  readonly #stream: ReadStream;
  #heard = '';

  private constructor(file: FileHandle, path: string, answer: (text: string) => string | undefined) {
    this.#file = file;
    this.#stream = createReadStream(path, { encoding: 'latin1' });
    this.#stream.on('data', (text) => {
      this.#heard += String(text);
      for (let end = this.#heard.indexOf('\n'); end !== -1; end = this.#heard.indexOf('\n')) {
        const line = this.#heard.slice(0, end + 1);
        this.#heard = this.#heard.slice(end + 1);
        const reply = answer(line);
        if (reply !== undefined) void this.say(reply);
      }
    });
    // The line ends when its cable is pulled.
    this.#stream.on('error', () => undefined);
  }

  /** `answer` is asked with each line that comes in. */
  static async on(
    path: string,
    answer: (line: string) => string | undefined = () => undefined,
  ): Promise<SerialDevice> {
    return new SerialDevice(await open(path, 'w'), path, answer);
  }

  async say(text: string): Promise<void> {
    await this.#file.write(Buffer.from(text, 'latin1'));
  }

  async stop(): Promise<void> {
    this.#stream.destroy();
    await this.#file.close().catch(() => undefined);
  }
}
