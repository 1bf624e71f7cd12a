// Runs the Lua script that is its argument, with all of Lua's libraries.

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int main(int argc, char **argv) {
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    int failed = argc != 2 || luaL_dofile(lua, argv[1]);
    if (failed)
        printf("%s\n", lua_tostring(lua, -1));
    lua_close(lua);
    return failed;
}
