# Turns the text file IN into the C source OUT: one string constant, gw_builtin_config.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUT} "/* Made from ${IN}. */\nextern const char gw_builtin_config[];\nconst char gw_builtin_config[] = {\n${bytes}0};\n")
