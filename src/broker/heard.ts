/**
 * The Topic Name of the PUBLISH that was read last: which Topic it is, and where its bytes lie. Copies that go out take
 * them from there, so that a name is neither decoded nor encoded again.
 *
 *   Decoder ──topicName──▶ Heard ──▶ Intake, before the next packet is read
 *
 * One for the broker: a packet is dealt with before another is read, whoever it is from.
 */
import { decodeTopicName } from '../mqtt/decoder.js';
import { TopicTable } from '../mqtt/topic-table.js';
import type { Publication } from './publication.js';
import { Topic } from './topic.js';

export class Heard {
  readonly #topics = new TopicTable((bytes, start, end) => new Topic(decodeTopicName(bytes, start, end)));
  #topic: Topic | undefined;
  #bytes: Uint8Array | undefined;
  #start = 0;
  #end = 0;

  /** For the Decoder. */
  readonly topicName = (bytes: Buffer, start: number, end: number): string => {
    const topic = this.#topics.get(bytes, start, end);
    this.#topic = topic;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    return topic.name;
  };

  /** It may be too deep. Undefined: no name was read yet. */
  get topic(): Topic | undefined {
    return this.#topic;
  }

  /** Tells the publication of that PUBLISH where its name lies. */
  name(publication: Publication): void {
    publication.nameBytes = this.#bytes;
    publication.nameStart = this.#start;
    publication.nameEnd = this.#end;
  }

  reserve(topics: number): void {
    this.#topics.reserve(topics);
  }
}
