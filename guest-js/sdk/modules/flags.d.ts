// elias/flags: feature flags, evaluated as OpenFeature says.

import type { Json } from "../index.js";

/** For whom a flag is evaluated: attributes that its rules may be about. At most 16 KiB as JSON. */
export interface EvaluationContext {
  /**
   * The subject, such as the id of a user; at most 1,024 bytes. It decides who is in a percentage. By default it is the
   * authenticated user, if there is one.
   */
  readonly targetingKey?: string;
  readonly [attribute: string]: Json | Date | undefined;
}

/** Why an evaluation has its value. */
export type EvaluationReason = "STATIC" | "TARGETING_MATCH" | "SPLIT" | "DEFAULT" | "DISABLED" | "ERROR";

/** Why an evaluation has the code's own default as its value. */
export type EvaluationErrorCode =
  | "PROVIDER_NOT_READY"
  | "FLAG_NOT_FOUND"
  | "TYPE_MISMATCH"
  | "TARGETING_KEY_MISSING"
  | "INVALID_CONTEXT";

/** The outcome of an evaluation. */
export interface EvaluationDetails<T> {
  readonly flagKey: string;
  /** The value of the variant, or the default that was passed. */
  readonly value: T;
  /** The name of the variant; undefined if the default was returned. */
  readonly variant?: string;
  readonly reason: EvaluationReason;
  /** Undefined unless `reason` is `ERROR`. */
  readonly errorCode?: EvaluationErrorCode;
  /** Undefined unless `reason` is `ERROR`. */
  readonly errorMessage?: string;
  /** The metadata of the flag's definition. */
  readonly flagMetadata: Readonly<Record<string, string | number | boolean>>;
}

/** A provider for `OpenFeature.setProvider` of `@openfeature/server-sdk`. */
export interface FlagProvider {
  readonly metadata: { readonly name: string };
  readonly runsOn: "server";
  resolveBooleanEvaluation(
    flagKey: string, defaultValue: boolean, context: EvaluationContext,
  ): Promise<EvaluationDetails<boolean>>;
  resolveStringEvaluation(
    flagKey: string, defaultValue: string, context: EvaluationContext,
  ): Promise<EvaluationDetails<string>>;
  resolveNumberEvaluation(
    flagKey: string, defaultValue: number, context: EvaluationContext,
  ): Promise<EvaluationDetails<number>>;
  resolveObjectEvaluation<T extends object>(
    flagKey: string, defaultValue: T, context: EvaluationContext,
  ): Promise<EvaluationDetails<T>>;
}

/** Feature flags. No evaluation throws in a handler: where it fails, its value is the default that was passed. */
export interface Flags {
  /** Returns the value of a flag with booleans, or `defaultValue`. */
  getBooleanValue(flagKey: string, defaultValue: boolean, context?: EvaluationContext): boolean;
  /** Returns the value of a flag with strings, or `defaultValue`. */
  getStringValue<T extends string = string>(flagKey: string, defaultValue: T, context?: EvaluationContext): T;
  /** Returns the value of a flag with numbers, or `defaultValue`. */
  getNumberValue(flagKey: string, defaultValue: number, context?: EvaluationContext): number;
  /** Returns the value of a flag with objects or arrays, or `defaultValue`. */
  getObjectValue<T extends object>(flagKey: string, defaultValue: T, context?: EvaluationContext): T;
  /** Returns the value with its variant and the reason. */
  getBooleanDetails(
    flagKey: string, defaultValue: boolean, context?: EvaluationContext,
  ): EvaluationDetails<boolean>;
  /** Returns the value with its variant and the reason. */
  getStringDetails<T extends string = string>(
    flagKey: string, defaultValue: T, context?: EvaluationContext,
  ): EvaluationDetails<T>;
  /** Returns the value with its variant and the reason. */
  getNumberDetails(flagKey: string, defaultValue: number, context?: EvaluationContext): EvaluationDetails<number>;
  /** Returns the value with its variant and the reason. */
  getObjectDetails<T extends object>(
    flagKey: string, defaultValue: T, context?: EvaluationContext,
  ): EvaluationDetails<T>;
  /** A provider for `@openfeature/server-sdk`. */
  readonly provider: FlagProvider;
}

export const flags: Flags;
