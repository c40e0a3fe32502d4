// The fifteen control packets of MQTT 3.1.1 and 5 as typed values. Names follow mqtt-packet where it has one.

/** The protocol level of CONNECT: 3 is MQTT 3.1 ("MQIsdp"), 4 is MQTT 3.1.1, 5 is MQTT 5. 3 and 4 differ in nothing after CONNECT. */
export type ProtocolVersion = 3 | 4 | 5;

export type QoS = 0 | 1 | 2;

/** In the order they were sent; a name may be there several times (MQTT 5 §3.1.2.11.8). Never an object: its keys would be a peer's. */
export type UserProperties = readonly (readonly [name: string, value: string])[];

/** Every property of MQTT 5 §2.2.2.2. Intervals are in seconds, sizes in bytes; what is absent was not sent. */
export interface Properties {
  readonly payloadFormatIndicator?: boolean;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: Buffer;
  /** The one of a SUBSCRIBE, 1 to 268,435,455. */
  readonly subscriptionIdentifier?: number;
  /** Those of a PUBLISH that a server sends. */
  readonly subscriptionIdentifiers?: readonly number[];
  readonly sessionExpiryInterval?: number;
  readonly assignedClientIdentifier?: string;
  readonly serverKeepAlive?: number;
  readonly authenticationMethod?: string;
  readonly authenticationData?: Buffer;
  readonly requestProblemInformation?: boolean;
  readonly willDelayInterval?: number;
  readonly requestResponseInformation?: boolean;
  readonly responseInformation?: string;
  readonly serverReference?: string;
  readonly reasonString?: string;
  readonly receiveMaximum?: number;
  readonly topicAliasMaximum?: number;
  readonly topicAlias?: number;
  readonly maximumQoS?: 0 | 1;
  readonly retainAvailable?: boolean;
  readonly userProperties?: UserProperties;
  readonly maximumPacketSize?: number;
  readonly wildcardSubscriptionAvailable?: boolean;
  readonly subscriptionIdentifiersAvailable?: boolean;
  readonly sharedSubscriptionAvailable?: boolean;
}

export type ConnectProperties = Pick<
  Properties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'maximumPacketSize'
  | 'topicAliasMaximum'
  | 'requestResponseInformation'
  | 'requestProblemInformation'
  | 'authenticationMethod'
  | 'authenticationData'
  | 'userProperties'
>;

/** What a message takes along to whoever receives it (MQTT 5 §3.3.2.3). */
export type MessageProperties = Pick<
  Properties,
  | 'payloadFormatIndicator'
  | 'messageExpiryInterval'
  | 'contentType'
  | 'responseTopic'
  | 'correlationData'
  | 'userProperties'
>;

export type WillProperties = MessageProperties & Pick<Properties, 'willDelayInterval'>;

export type PublishProperties = MessageProperties &
  Pick<Properties, 'topicAlias' | 'subscriptionIdentifiers'>;

export type ConnackProperties = Pick<
  Properties,
  | 'sessionExpiryInterval'
  | 'receiveMaximum'
  | 'maximumQoS'
  | 'retainAvailable'
  | 'maximumPacketSize'
  | 'assignedClientIdentifier'
  | 'topicAliasMaximum'
  | 'reasonString'
  | 'wildcardSubscriptionAvailable'
  | 'subscriptionIdentifiersAvailable'
  | 'sharedSubscriptionAvailable'
  | 'serverKeepAlive'
  | 'responseInformation'
  | 'serverReference'
  | 'authenticationMethod'
  | 'authenticationData'
  | 'userProperties'
>;

/** PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK have these. */
export type AcknowledgementProperties = Pick<Properties, 'reasonString' | 'userProperties'>;

export type SubscribeProperties = Pick<Properties, 'subscriptionIdentifier' | 'userProperties'>;

export type UnsubscribeProperties = Pick<Properties, 'userProperties'>;

export type DisconnectProperties = Pick<
  Properties,
  'sessionExpiryInterval' | 'reasonString' | 'serverReference' | 'userProperties'
>;

export type AuthProperties = Pick<
  Properties,
  'authenticationMethod' | 'authenticationData' | 'reasonString' | 'userProperties'
>;

export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  readonly properties?: WillProperties | undefined;
}

export interface ConnectPacket {
  readonly type: 'connect';
  readonly protocolVersion: ProtocolVersion;
  /** Clean Session (3.1.1) or Clean Start (5). */
  readonly clean: boolean;
  /** Seconds; 0 turns it off. */
  readonly keepAlive: number;
  readonly clientId: string;
  readonly will?: Will | undefined;
  readonly username?: string | undefined;
  readonly password?: Buffer | undefined;
  readonly properties?: ConnectProperties | undefined;
}

export interface ConnackPacket {
  readonly type: 'connack';
  readonly sessionPresent: boolean;
  /** The return code of MQTT 3.1.1 (0 to 5), the reason code of MQTT 5. */
  readonly reasonCode: number;
  readonly properties?: ConnackProperties | undefined;
}

export interface PublishPacket {
  readonly type: 'publish';
  readonly qos: QoS;
  readonly dup: boolean;
  readonly retain: boolean;
  /** Empty only in MQTT 5 and with a topic alias. */
  readonly topic: string;
  /** 0 at QoS 0, which has none; 1 to 65,535 otherwise. */
  readonly packetId: number;
  /** A view of the bytes that were read, not a copy: it lives as long as they do. */
  readonly payload: Buffer;
  readonly properties?: PublishProperties | undefined;
}

export interface AcknowledgementPacket<Type extends 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'> {
  readonly type: Type;
  readonly packetId: number;
  /** 0 where none was sent. */
  readonly reasonCode: number;
  readonly properties?: AcknowledgementProperties | undefined;
}

export type PubackPacket = AcknowledgementPacket<'puback'>;
export type PubrecPacket = AcknowledgementPacket<'pubrec'>;
export type PubrelPacket = AcknowledgementPacket<'pubrel'>;
export type PubcompPacket = AcknowledgementPacket<'pubcomp'>;

export type AckPacket = PubackPacket | PubrecPacket | PubrelPacket | PubcompPacket;

export interface Subscription {
  /** As sent, `$share/name/` included: see `parseSharedFilter`. */
  readonly filter: string;
  readonly qos: QoS;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 sends retained messages, 1 only for a new subscription, 2 never (MQTT 5 §3.8.3.1). */
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly type: 'subscribe';
  readonly packetId: number;
  /** At least one. */
  readonly subscriptions: readonly Subscription[];
  readonly properties?: SubscribeProperties | undefined;
}

export interface SubackPacket {
  readonly type: 'suback';
  readonly packetId: number;
  readonly reasonCodes: readonly number[];
  readonly properties?: AcknowledgementProperties | undefined;
}

export interface UnsubscribePacket {
  readonly type: 'unsubscribe';
  readonly packetId: number;
  /** At least one. */
  readonly filters: readonly string[];
  readonly properties?: UnsubscribeProperties | undefined;
}

export interface UnsubackPacket {
  readonly type: 'unsuback';
  readonly packetId: number;
  /** Empty in MQTT 3.1.1, which has none. */
  readonly reasonCodes: readonly number[];
  readonly properties?: AcknowledgementProperties | undefined;
}

export interface PingreqPacket {
  readonly type: 'pingreq';
}

export interface PingrespPacket {
  readonly type: 'pingresp';
}

export interface DisconnectPacket {
  readonly type: 'disconnect';
  /** 0 where none was sent. */
  readonly reasonCode: number;
  readonly properties?: DisconnectProperties | undefined;
}

export interface AuthPacket {
  readonly type: 'auth';
  readonly reasonCode: number;
  readonly properties?: AuthProperties | undefined;
}

export type Packet =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | PubackPacket
  | PubrecPacket
  | PubrelPacket
  | PubcompPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | UnsubackPacket
  | PingreqPacket
  | PingrespPacket
  | DisconnectPacket
  | AuthPacket;
