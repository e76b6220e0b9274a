#!/usr/bin/env node
import process from "node:process";
import { main } from "../dist/index.js";

process.exit(await main(process.argv));
