/** Losses of one kind that follow each other are one loss with a longer span. */
import type { Loss } from './storage.js';

/** Enough for a person to see what it was about; a loss must stay small however long it lasts. */
export const LOSS_TOPICS_MAX = 16;

export function mergeLoss(a: Loss, b: Loss): Loss {
  const topics = new Set(a.topics.slice(0, LOSS_TOPICS_MAX));
  for (const topic of b.topics) {
    if (topics.size >= LOSS_TOPICS_MAX) break;
    topics.add(topic);
  }
  return {
    lost: a.lost + b.lost,
    reason: a.reason,
    bridge: a.bridge,
    from: Math.min(a.from, b.from),
    to: Math.max(a.to, b.to),
    topics: [...topics],
  };
}
