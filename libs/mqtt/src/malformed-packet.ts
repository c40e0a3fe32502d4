// What is wrong with bytes that a peer sent: which rule they break, and the reason code to close the connection with.
import type { ProtocolVersion } from './packets.ts';

/** The reason codes of MQTT 5 §2.4 with which reading refuses a packet. */
export type RefusalCode = 0x81 | 0x82 | 0x84 | 0x8f | 0x90 | 0x94 | 0x95 | 0x97 | 0x99;

interface Refused {
  readonly reasonCode: RefusalCode;
  readonly clause: string;
  readonly message: string;
  readonly version?: ProtocolVersion | undefined;
}

/**
 * Thrown for bytes that MQTT does not allow or that go beyond a limit of ours. The connection they came from has to end: in MQTT 5
 * with CONNACK or DISCONNECT and `reasonCode`, in MQTT 3.1.1 without a word (MQTT 3.1.1 §4.8), but for a CONNECT of a protocol
 * level that nobody knows, which is answered with CONNACK 0x01.
 */
export class MalformedPacket extends Error {
  override readonly name = 'MalformedPacket';
  readonly reasonCode: RefusalCode;
  /** The normative statement, such as "MQTT-3.3.1-4", or the section where it has no number; `limit` for a limit of ours. */
  readonly clause: string;
  /**
   * The version of the peer, as far as it is known: for a CONNECT, that which it named itself; undefined when it named none that
   * there is.
   */
  readonly version: ProtocolVersion | undefined;

  constructor({ reasonCode, clause, message, version }: Refused) {
    super(message);
    this.reasonCode = reasonCode;
    this.clause = clause;
    this.version = version;
  }
}
