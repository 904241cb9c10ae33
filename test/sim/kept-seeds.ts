/** Seeds that once failed, with what they showed. A change of what chance is asked for makes other histories of them. */
export interface KeptSeed {
  readonly seed: number;
  readonly showed: string;
  /** Not repaired yet: played by `npm run sim`, not by the tests. */
  readonly open?: true;
}

export const KEPT_SEEDS: readonly KeptSeed[] = [
  {
    seed: 188,
    showed: 'a session remembered the identifier of a message that waited for the commit after its own',
  },
  {
    seed: 521,
    showed: 'a link that was cut before CONNECT left puts a 3.1.1 bridge in doubt of its session',
  },
  {
    seed: 67,
    showed:
      'a Record that is evicted between its PUBACK and the commit that says so counts as delivered and as lost',
    open: true,
  },
  {
    seed: 431,
    showed: 'dying twice in a handshake, the second time with UNSUBSCRIBE on its way, makes QoS 2 come twice',
    open: true,
  },
  {
    seed: 1999,
    showed: 'the status of a clean stop is sent although Receive Maximum is used up',
    open: true,
  },
];
