// Every rule by which reading refuses a packet: the reason code of MQTT 5, where the text says so, and a sentence for the log.
import { MalformedPacket, type RefusalCode } from './malformed-packet.ts';
import type { ProtocolVersion } from './packets.ts';

interface Rule {
  readonly code: RefusalCode;
  /** In MQTT 5, then in MQTT 3.1.1 where it has another number or place. */
  readonly clause: string;
  readonly clause311?: string;
  readonly says: string;
}

const rule = (code: RefusalCode, clause: string, says: string, clause311?: string): Rule =>
  clause311 === undefined ? { code, clause, says } : { code, clause, clause311, says };

export const rules = {
  reservedType: rule(0x81, 'MQTT 5 §2.1.2', 'the control packet type is reserved'),
  reservedFlags: rule(
    0x81,
    'MQTT-2.1.3-1',
    'a reserved flag of the fixed header is not as it has to be',
    'MQTT-2.2.2-2',
  ),
  wrongDirection: rule(0x82, 'MQTT 5 §2.1.2', 'this packet is only sent the other way'),
  longLength: rule(0x81, 'MQTT 5 §1.5.5', 'a variable byte integer has more than four bytes'),
  wastefulLength: rule(
    0x81,
    'MQTT-1.5.5-1',
    'a variable byte integer is not written in the fewest bytes',
  ),
  pastTheEnd: rule(0x81, 'MQTT 5 §1.2', 'a field goes beyond the end of the packet'),
  trailingBytes: rule(0x81, 'MQTT 5 §1.2', 'bytes are left over at the end of the packet'),
  packetTooLarge: rule(0x95, 'MQTT-3.2.2-15', 'the packet is larger than the server takes'),
  packetIdZero: rule(0x82, 'MQTT-2.2.1-3', 'the packet identifier is 0', 'MQTT-2.3.1-1'),

  notUtf8: rule(0x81, 'MQTT-1.5.4-1', 'a string is not well-formed UTF-8', 'MQTT-1.5.3-1'),
  nulCharacter: rule(0x81, 'MQTT-1.5.4-2', 'a string contains U+0000', 'MQTT-1.5.3-2'),
  controlCharacter: rule(
    0x81,
    'MQTT 5 §1.5.4',
    'a string contains a control character or what is no character',
    'MQTT 3.1.1 §1.5.3',
  ),
  valueTooLong: rule(0x97, 'limit', 'a string or binary value is longer than the server takes'),

  unknownProperty: rule(0x81, 'MQTT 5 §2.2.2.2', 'there is no property of this identifier'),
  misplacedProperty: rule(0x81, 'MQTT 5 §2.2.2.2', 'a property does not belong into this packet'),
  repeatedProperty: rule(0x82, 'MQTT 5 §2.2.2.2', 'a property is there more than once'),
  propertyRange: rule(0x82, 'MQTT 5 §2.2.2.2', 'the value of a property is out of its range'),
  userProperties: rule(0x97, 'limit', 'there are more user properties than the server takes'),
  dataWithoutMethod: rule(
    0x82,
    'MQTT 5 §3.1.2.11.10',
    'authentication data without an authentication method',
  ),

  protocolName: rule(0x84, 'MQTT-3.1.2-1', 'the protocol name is not MQTT'),
  protocolLevel: rule(0x84, 'MQTT-3.1.2-2', 'the protocol level is none that the server speaks'),
  connectFlag: rule(0x81, 'MQTT-3.1.2-3', 'the reserved flag of CONNECT is set'),
  willQosAlone: rule(0x81, 'MQTT-3.1.2-11', 'a will QoS without a will', 'MQTT-3.1.2-13'),
  willQos: rule(0x81, 'MQTT-3.1.2-12', 'the will has QoS 3', 'MQTT-3.1.2-14'),
  willRetainAlone: rule(0x81, 'MQTT-3.1.2-13', 'a will to retain without a will', 'MQTT-3.1.2-15'),
  passwordAlone: rule(0x81, 'MQTT-3.1.2-22', 'a password without a user name'),

  connackFlags: rule(0x81, 'MQTT-3.2.2-1', 'a reserved flag of CONNACK is set'),
  refusedSession: rule(0x82, 'MQTT-3.2.2-6', 'a refusal that speaks of a session', 'MQTT-3.2.2-4'),
  reasonCode: rule(0x82, 'MQTT 5 §2.4', 'this packet has no such reason code'),

  publishQos: rule(0x81, 'MQTT-3.3.1-4', 'a PUBLISH has QoS 3'),
  dupAtQos0: rule(0x81, 'MQTT-3.3.1-2', 'a PUBLISH of QoS 0 has DUP set'),
  topicWildcard: rule(0x81, 'MQTT-3.3.2-2', 'a topic name contains a wildcard'),
  emptyTopic: rule(0x81, 'MQTT-4.7.3-1', 'a topic is empty'),
  noTopic: rule(0x82, 'MQTT 5 §3.3.2.1', 'a PUBLISH has neither a topic nor a topic alias'),
  topicLevels: rule(0x90, 'limit', 'a topic name has more levels than the server takes'),
  topicAliasZero: rule(0x94, 'MQTT-3.3.2-8', 'the topic alias is 0'),
  responseWildcard: rule(0x82, 'MQTT-3.3.2-14', 'a response topic contains a wildcard'),
  identifierFromClient: rule(
    0x82,
    'MQTT-3.3.4-6',
    'a client sends a subscription identifier in a PUBLISH',
  ),
  payloadFormat: rule(0x99, 'MQTT 5 §3.3.2.3.2', 'a payload that is said to be UTF-8 is not'),

  noSubscriptions: rule(0x82, 'MQTT-3.8.3-2', 'a SUBSCRIBE without a filter', 'MQTT-3.8.3-3'),
  noFilters: rule(0x82, 'MQTT-3.10.3-2', 'an UNSUBSCRIBE without a filter'),
  tooManyFilters: rule(0x97, 'limit', 'there are more filters in one packet than the server takes'),
  multiLevelWildcard: rule(
    0x81,
    'MQTT-4.7.1-1',
    '"#" is not the whole of the last level',
    'MQTT-4.7.1-2',
  ),
  singleLevelWildcard: rule(0x81, 'MQTT-4.7.1-2', '"+" is not a whole level', 'MQTT-4.7.1-3'),
  filterLevels: rule(0x8f, 'limit', 'a topic filter has more levels than the server takes'),
  shareName: rule(0x81, 'MQTT-4.8.2-1', 'the name of a shared subscription is empty or a wildcard'),
  shareFilter: rule(0x81, 'MQTT-4.8.2-2', 'a shared subscription has no filter'),
  sharedNoLocal: rule(0x82, 'MQTT-3.8.3-4', 'No Local on a shared subscription'),
  subscriptionQos: rule(0x82, 'MQTT 5 §3.8.3.1', 'a subscription asks for QoS 3', 'MQTT-3.8.3-4'),
  retainHandling: rule(0x82, 'MQTT 5 §3.8.3.1', 'the retain handling of a subscription is 3'),
  subscriptionOptions: rule(
    0x81,
    'MQTT-3.8.3-5',
    'a reserved bit of the subscription options is set',
    'MQTT-3.8.3-4',
  ),
  noMethod: rule(0x82, 'MQTT 5 §3.15.2.2.2', 'an AUTH without an authentication method'),
} as const satisfies Record<string, Rule>;

export type RuleName = keyof typeof rules;

/** Where the packet was read from that breaks a rule, for the log and for the answer. */
export interface RefusalSite {
  /** As far as it is known. */
  readonly version?: ProtocolVersion | undefined;
  /** A clause that says it more exactly than the rule's own. */
  readonly clause?: string;
  /** What was found: our words and numbers, nothing that a peer wrote. */
  readonly found?: string;
}

/** @throws {MalformedPacket} always */
export function refuse(name: RuleName, { version, clause, found }: RefusalSite): never {
  const { code, clause: clause5, clause311, says }: Rule = rules[name];
  throw new MalformedPacket({
    reasonCode: code,
    clause: clause ?? (version === 5 ? clause5 : (clause311 ?? clause5)),
    message: found === undefined ? `${says}.` : `${says}: ${found}.`,
    version,
  });
}
