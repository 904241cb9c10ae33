/**
 * What a program gets from `import … from 'godwit'`: the broker and a client, with the types that they speak in. The
 * gateway itself is run by the command line.
 */
export type {
  Authentication,
  AuthenticationStep,
  Authorizer,
  Credentials,
  Identity,
} from './broker/authorizer.js';
export type { BrokerSection } from './config/broker-section.js';
export { GodwitError } from './core/error.js';
export type { Log } from './core/log.js';
export type { Message, MessageProperties, QoS } from './core/message.js';
export type { BrokerSnapshot } from './core/snapshot.js';
export type {
  OptionsCheck,
  UserBus,
  UserDevice,
  UserDriver,
  UserDriverFile,
  UserValue,
} from './drivers/file/user-driver.js';
export { Broker, type BrokerOptions, type PublishOptions as BrokerPublishOptions } from './library/broker.js';
export { Client } from './library/client.js';
export type {
  ClientOptions,
  OnMessage,
  PublishOptions,
  SubscribeOptions,
  WillOptions,
} from './library/client-options.js';
export { ReasonCode } from './mqtt/reason-code.js';
