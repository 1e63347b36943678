/*
 * The byte-level cases of docs/protocol.md, section 9, as a table. Numbers and bytes are those of
 * that page; where it writes a placeholder, so do we:
 *
 *     T  the 32 characters of the device's token     t  its first 31 characters
 *
 * Frames are separated by blanks. Group A brings its own logins, groups B to G
 * begin after one that was granted with id 1. `updates` is what the log then holds of the device
 * beside its info frames and its comings and goings, in the words of sys_updates_text.
 */
#ifndef TESTS_SYSTEM_CONFORMANCE_CASES_H
#define TESTS_SYSTEM_CONFORMANCE_CASES_H

#include <stdbool.h>

struct conformance_case {
    const char *number, *claim;
    const char *client; /* what the device sends                               */
    const char *answer; /* what it gets, before anything else                  */
    const char *updates;
    bool closes; /* then the gateway closes                             */
};

#define INFO_LINUX                                                                                 \
    "110002008476657200312e342e3000682d6265617400343000627566662d696e003430393600646576004c696e"   \
    "75780066772d7479706500544d504c3076466b466d4a4d3700667700302e312e30006275696c64004a616e2020"   \
    "3120323032362030303a30303a303000636f6e6e00536f636b657400746d706c00544d504c3076466b466d4a4d"   \
    "3700"
#define INFO_HEARTBEAT_10(id)                                                                      \
    "11" id                                                                                        \
    "003276657200312e342e3000682d6265617400313000627566662d696e0032353600746d706c00544d504c"       \
    "3076466b466d4a4d37"
#define TOKEN_U "4141414141414141414141414141414141414141414141414141414141414141"

static const struct conformance_case conformance_cases[] = {
    {"A01", "a valid token logs in with command 29", "1d00010020T", "00000100c8", "", false},
    {"A02", "and with command 2 of old firmware", "0200010020T", "00000100c8", "", false},
    {"A03", "an unknown token gets 9", "1d00010020" TOKEN_U, "0000010009", "", true},
    {"A04", "31 characters are no token", "1d0001001ft", "0000010009", "", true},
    {"A05", "33 characters are no token", "1d00010021T41", "0000010009", "", true},
    {"A06", "an empty token", "1d00010000", "0000010009", "", true},
    {"A07", "a token with a NUL", "1d00010020t00", "0000010009", "", true},
    {"A08", "a token with a byte outside the alphabet", "1d00010020t2b", "0000010009", "", true},
    {"A09", "a login id other than 1 is echoed", "1d12340020T", "00123400c8", "", false},
    {"A13", "a second login gets 4", "1d00010020T 1d00020020T", "00000100c8 0000020004", "", false},
    {"A14", "HARDWARE before the login closes", "1400010006767700310035", "", "", true},
    {"A15", "PING before the login closes", "0600010000", "", "", true},
    {"A17", "login, info and write in one go", "1d00010020T " INFO_LINUX " 1400030006767700310035",
     "00000100c8 00000200c8", "write v1 35", false},

    {"B18", "info of the Arduino family, library 1.3 and later",
     "11000200836d637500302e312e300066772d7479706500544d504c3076466b466d4a4d37006275696c64004a616e"
     "20203120323032362030303a30303a303000626c796e6b00312e342e3000682d6265617400343000627566662d69"
     "6e00313032340064657600455350333200636f6e005769466900746d706c00544d504c3076466b466d4a4d37",
     "00000200c8", "", false},
    {"B19", "info of a co-processor",
     "11000200336e637000302e362e3300682d6265617400343500627566662d696e003130323400746d706c00544d50"
     "4c3076466b466d4a4d37",
     "00000200c8", "", false},
    {"B20", "info with a NUL at its end", INFO_LINUX, "00000200c8", "", false},
    {"B21", "info without tmpl: the token alone decides",
     "110002001d76657200302e352e3400627566662d696e003430393600646576006a73", "00000200c8", "",
     false},
    {"B22", "info of another product gets 5, and the end",
     "110002003376657200312e342e3000682d6265617400343000627566662d696e003130323400746d706c00544d50"
     "4c787878787878787878",
     "0000020005", "", true},
    {"B23", "info twice", INFO_HEARTBEAT_10("0002") " " INFO_HEARTBEAT_10("0003"),
     "00000200c8 00000300c8", "", false},
    {"B24", "an empty INTERNAL", "1100020000", "0000020002", "", false},
    {"B25", "an unknown INTERNAL key is ignored", "11000200057a7a7a0031", "", "", false},

    {"C26", "ping", "0600040000", "00000400c8", "", false},
    {"C27", "ping with the highest id", "06ffff0000", "00ffff00c8", "", false},
    {"C30", "a response to nothing is ignored", "0003e700c8", "", "", false},

    {"D31", "a virtual write", "140003000776770030003130", "", "write v0 3130", false},
    {"D32", "several values are one update", "140005000a76770036006100320063", "",
     "write v6 6100320063", false},
    {"D33", "a binary value stays what it is", "14001700097677003700000102ff", "",
     "write v7 000102ff", false},
    {"D34", "a value in UTF-8", "140006000d767700320032322e3520c2b043", "",
     "write v2 32322e3520c2b043", false},
    {"D35", "digital and analog writes", "140007000764770031330031 14000800086177003300353132", "",
     "write d13 31; write a3 353132", false},
    {"D36", "a write without a value", "140009000476770031", "0000090002", "", false},
    {"D37", "a write with an empty value", "14000900057677003100", "0000090002", "", false},
    {"D38", "pin 256", "14000a00087677003235360031", "00000a0002", "", false},
    {"D39", "a pin that is no number", "14000b0006767700780031", "00000b0002", "", false},
    {"D40", "a body too short", "14000c0003767700", "00000c0002", "", false},

    {"E44", "sync of a pin with a value", "140002000776770031003535 100003000476720031",
     "140003000776770031003535", "write v1 3535", false},
    {"E45", "sync of two pins, only the second has a value",
     "140002000776770031003535 1000030006767200300031", "140003000776770031003535", "write v1 3535",
     false},
    {"E46", "sync of a pin without a value is silent", "100003000476720039", "", "", false},
    {"E47", "sync of all pins", "140002000776770031003535 140003000776770032006f6e 1000040000",
     "140004000776770031003535 140004000776770032006f6e", "write v1 3535; write v2 6f6e", false},
    {"E48", "sync without pins", "10000500027672", "0000050002", "", false},

    {"F49", "a property", "130006000f3100636f6c6f720023443334333543", "00000600c8",
     "property v1 (1) color 23443334333543", false},
    {"F50", "a property of several pins", "1300070015300031003200697344697361626c65640074727565",
     "00000700c8", "property v0 (3) isDisabled 74727565", false},
    {"F51", "a property without a value", "13000800073100636f6c6f72", "000008000b", "", false},
    {"F52", "an event with text", "4000080008686f740064657363", "00000800c8", "event hot 64657363",
     false},
    {"F53", "an event without a code", "4000080000", "0000080002", "", false},
    {"F54", "events cleared, the last and all", "4100090003686f74 41000a0007686f7400616c6c",
     "00000900c8 00000a00c8", "event_clear hot ; event_clear hot 616c6c", false},
    {"F55", "a group", "15000f000162 1400100006767700310031 150011000165", "",
     "group_begin; write v1 31 grouped; group_end", false},
    {"F56", "a group with a time of its own", "150013000f740031373030303030303030313233", "",
     "group_begin at 1700000000123000", false},
    {"F60", "metadata set", "11000b001a6d657461007365740053657269616c204e756d62657200313233",
     "00000b00c8", "meta_set Serial Number 313233", false},
    {"F61", "a bridge to an unknown token", "0f001400253634006900" TOKEN_U, "0000140006", "",
     false},
    {"F62", "a bridge that was not named", "0f00150009363400767700310035", "0000150006", "", false},
    {"F64", "notifications of old firmware are not served",
     "0e000800026869 0d000900096140622e630074006d 0c000a000178", "0000080002 0000090002 00000a0002",
     "", false},

    {"G68", "an unknown command below 100", "630002000161", "0000020002", "", false},
    {"G69", "a command of 100 or above closes", "c80002000161", "", "", true},
    {"G70", "a body of 65535 bytes announced closes", "140002ffff", "", "", true},
    {"G71", "a frame with id 0 is taken", "1400000006767700310035", "", "write v1 35", false},
};

#endif
