// For those who run a server inside their own process.
export {
  type Backend,
  completeConfig,
  type Config,
  ConfigError,
  type ConfigFault,
  type ConfigInput,
  type Setting,
  type StoreConfig,
} from "./config.js";
export { type Address } from "./model/address.js";
export { defaultLimits, type Limits } from "./model/limits.js";
export { type RunningServer, startServer } from "./server.js";
export type { TlsInput, TlsSettings } from "./tls/tls-settings.js";
export { version } from "./version.js";

// For those who look at what is in etcd.
export { type DumpOptions, readTickets, ticketLine } from "./dump.js";

// For those who use the locks without the network, or write and test another log.
export { Fold } from "./fold/fold.js";
export type { Ticket } from "./fold/queue.js";
export type {
  CommandLog,
  CommandWaiter,
  FoldSnapshot,
  LogBase,
  LogFold,
  LogListener,
  MembershipListener,
  Urgency,
} from "./log/command-log.js";
export { createEtcdLog } from "./log/etcd/etcd-log.js";
export { createMemoryLog } from "./log/memory-log.js";
export { type Command, type Entry, knownLevel, type LoggedEntry, type Outcome } from "./model/command.js";
export { type Fatal, FatalError } from "./model/fatal-error.js";
export { LockError, type LockErrorReason, type LockState } from "./model/lock-errors.js";
export type { Member, StoredMember } from "./model/member.js";
export { type Share } from "./model/ticket-content.js";
export { type LockName, lockNameOf, showLockName } from "./model/ticket-ref.js";
export type { Claim, ClaimListener, ClaimRequest, Grant, LossReason } from "./node/claim.js";
export { LockNode, type LockNodeOptions } from "./node/lock-node.js";
